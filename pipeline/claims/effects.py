"""Did it change anything? Every measure of a study's experiments against its first."""

import numpy as np
import pandas as pd

from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.claims.bootstrap import paired_difference, unpaired_difference
from pipeline.claims.intervals import Drawn, drawn, probes_of, stacked
from pipeline.claims.measures import MEASURE

COLUMNS = [*MEASURE, "experiment", "against", "value", "base", "difference", "lo", "hi", "p", "q", "n_seeds", "paired"]


def effects(
    measures: pd.DataFrame,
    runs: pd.DataFrame,
    against: str,
    confidence: float,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Compare each experiment with one of them.

    A measure with several periods is its mean over them. Runs are paired by seed where two or more seeds have
    both experiments, measured on the same sentences, which implies the same training text; other seeds are
    left out then.

    Args:
        measures: what `measures` returns, of a study.
        runs: RUNS of the study.
        against: the experiment the others are compared with.
        confidence: of the intervals.
        resamples: of the bootstrap.
        generator: draws them.

    Returns:
        Columns COLUMNS; q is Benjamini and Hochberg's, over the measures of an experiment.
    """
    probes = probes_of(runs)
    texts = {experiment: {probe for run, probe in probes.items() if run[0] == experiment} for experiment, _ in probes}
    rows = []
    for measure, experiments in drawn(measures, probes, resamples, generator).items():
        base = experiments.pop(against, {})
        for experiment, values in experiments.items() if base else ():
            paired = texts[experiment] == texts[against] and len(values.keys() & base.keys()) > 1
            names = dict(zip(MEASURE, measure, strict=True)) | {"experiment": experiment, "against": against}
            rows.append(names | compared(values, base, paired, confidence, generator))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    q = frame.groupby("experiment")["p"].transform(lambda p: false_discovery(p.to_numpy(float)))
    return frame.assign(q=q.astype(float))


def compared(
    treated: Drawn, untreated: Drawn, paired: bool, confidence: float, generator: np.random.Generator
) -> dict[str, float]:
    """Return one measure's columns in EFFECTS: of an experiment's runs against those of the one they depart from."""
    if paired:
        shared = treated.keys() & untreated.keys()
        treated, untreated = ({seed: runs[seed] for seed in shared} for runs in (treated, untreated))
    (values, draws), (base, base_draws) = stacked(treated), stacked(untreated)
    if paired:
        difference = paired_difference(values - base, draws - base_draws, confidence, generator)
    else:
        difference = unpaired_difference((values, draws), (base, base_draws), confidence, generator)
    return {
        "value": float(np.mean(values)),
        "base": float(np.mean(base)),
        "difference": difference.value,
        "lo": difference.lo,
        "hi": difference.hi,
        "p": difference.p,
        "n_seeds": min(len(values), len(base)),
        "paired": paired,
    }
