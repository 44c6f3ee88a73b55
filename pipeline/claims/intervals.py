"""What every measure is, and how sure: over the seeds of an experiment and the sentences they were measured on."""

import pandas as pd

from pipeline.claims.crossed import crossed
from pipeline.claims.measures import MEASURE, Measures

COLUMNS = ["experiment", *MEASURE, "value", "lo", "hi", "n_seeds"]


def intervals(measures: Measures, confidence: float) -> pd.DataFrame:
    """Return each experiment's mean over seeds, and its interval over seeds and sentences, as `crossed` has it.

    Args:
        measures: what `measures` returns, of a study.
        confidence: of the intervals.

    Returns:
        Columns COLUMNS.
    """
    rows = []
    for measure, experiments in measures.items():
        for experiment, seeds in experiments.items():
            mean = crossed([*seeds.values()])
            rows.append((experiment, *measure, mean.value, *mean.interval(confidence), len(seeds)))
    return pd.DataFrame(rows, columns=COLUMNS)
