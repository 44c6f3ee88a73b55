"""Did it change anything? Every measure of a study's experiments against its first."""

import numpy as np
import pandas as pd

from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.claims.crossed import Number, crossed, crossed_difference
from pipeline.claims.measures import MEASURE, Measures, probes_of

COLUMNS = [*MEASURE, "experiment", "against", "value", "base", "difference", "lo", "hi", "p", "q", "n_seeds", "paired"]


def effects(measures: Measures, runs: pd.DataFrame, against: str, confidence: float) -> pd.DataFrame:
    """Compare each experiment with one of them.

    Runs are paired by seed where two or more seeds have both experiments, measured on the same sentences, which
    implies the same training text; other seeds are left out then. Intervals are of seeds and sentences, as `crossed`
    has them. With three pairs they rest on normal differences: the exact test, flipping signs, cannot reach below
    p = 2 / 2^3, and permuting the labels of three runs against three not below 2 / 20.

    Args:
        measures: what `measures` returns, of a study.
        runs: RUNS of the study.
        against: the experiment the others are compared with.
        confidence: of the intervals.

    Returns:
        Columns COLUMNS; q is Benjamini and Hochberg's, over the measures of an experiment.
    """
    probes = probes_of(runs)
    texts = {experiment: {probe for run, probe in probes.items() if run[0] == experiment} for experiment, _ in probes}
    rows = []
    for measure, experiments in measures.items():
        base = experiments.get(against)
        for experiment, values in experiments.items():
            if base is None or experiment == against:
                continue
            paired = texts[experiment] == texts[against] and len(values.keys() & base.keys()) > 1
            names = dict(zip(MEASURE, measure, strict=True)) | {"experiment": experiment, "against": against}
            rows.append(names | compared(values, base, paired, confidence))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    q = frame.groupby("experiment")["p"].transform(lambda p: false_discovery(p.to_numpy(float)))
    return frame.assign(q=q.astype(float))


def compared(treated: dict[int, Number], untreated: dict[int, Number], paired: bool, confidence: float) -> dict:
    """Return one measure's columns in EFFECTS: of an experiment's runs against those of the one they depart from."""
    if paired:
        shared = sorted(treated.keys() & untreated.keys())
        treated, untreated = ({seed: runs[seed] for seed in shared} for runs in (treated, untreated))
        difference = crossed([treated[seed] - untreated[seed] for seed in shared])
    else:
        difference = crossed_difference([*treated.values()], [*untreated.values()])
    lo, hi = difference.interval(confidence)
    return {
        "value": np.mean([number.value for number in treated.values()]),
        "base": np.mean([number.value for number in untreated.values()]),
        "difference": difference.value,
        "lo": lo,
        "hi": hi,
        "p": difference.p_value(),
        "n_seeds": min(len(treated), len(untreated)),
        "paired": paired,
    }
