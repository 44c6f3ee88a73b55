"""Did it change anything? Every measure of a study's experiments against its first."""

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.claims.bootstrap import paired_difference, unpaired_difference
from pipeline.claims.finding import Tables
from pipeline.claims.intervals import Drawn, drawn, probes_of, stacked
from pipeline.claims.measures import MEASURE, measures

COLUMNS = [*MEASURE, "experiment", "against", "value", "base", "difference", "lo", "hi", "p", "q", "n_seeds", "paired"]


def effects(
    tables: Tables, against: str, confidence: float, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Compare each experiment with one of them.

    A measure with several periods is its mean over them. Runs are paired by seed where two or more seeds have
    both experiments, measured on the same sentences, which implies the same training text; other seeds are
    left out then.

    Args:
        tables: head_scores, head_pairs, sentence_scores, loss_by_position and runs of a study.
        against: the experiment the others are compared with.
        confidence: of the intervals.
        resamples: of the bootstrap.
        generator: draws them.

    Returns:
        EFFECTS; q is Benjamini and Hochberg's, over the measures of an experiment.
    """
    probes = probes_of(tables["runs"])
    texts = {experiment: {probe for run, probe in probes.items() if run[0] == experiment} for experiment, _ in probes}
    rows = []
    for measure, found in drawn(measures(tables), probes, resamples, generator).items():
        base = found.pop(against, {})
        for experiment, values in found.items() if base else ():
            paired = texts[experiment] == texts[against] and len(values.keys() & base.keys()) > 1
            names = dict(zip(MEASURE, measure, strict=True)) | {"experiment": experiment, "against": against}
            rows.append(names | compared(values, base, paired, confidence, generator))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.assign(q=frame.groupby("experiment")["p"].transform(false_discovery).astype(float))


def compared(one: Drawn, other: Drawn, paired: bool, confidence: float, generator: np.random.Generator) -> dict:
    """Return one measure's columns in EFFECTS, of one experiment's runs against another's."""
    if paired:
        shared = one.keys() & other.keys()
        one, other = ({seed: runs[seed] for seed in shared} for runs in (one, other))
    (values, draws), (base, base_draws) = stacked(one), stacked(other)
    if paired:
        found = paired_difference(values - base, draws - base_draws, confidence, generator)
    else:
        found = unpaired_difference((values, draws), (base, base_draws), confidence, generator)
    return {
        "value": np.mean(values),
        "base": np.mean(base),
        "difference": found.value,
        "lo": found.lo,
        "hi": found.hi,
        "p": found.p,
        "n_seeds": min(len(values), len(base)),
        "paired": paired,
    }


def false_discovery(p: pd.Series) -> pd.Series:
    """Return Benjamini and Hochberg's q of the p values that are known; NaN for the others."""
    known = p.dropna()
    return pd.Series(stats.false_discovery_control(known) if len(known) else [], known.index).reindex(p.index)
