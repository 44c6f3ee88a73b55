"""Which head of one run is which head of another: all heads matched at once, by everything they score."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from pipeline.claims.keys import HEAD, RUN, SCORE

COLUMNS = [*HEAD, "reference_experiment", "reference_seed", "reference_head", "similarity", "at_random"]


def head_matches(head_scores: pd.DataFrame, against: str) -> pd.DataFrame:
    """Match every run's heads, layer by layer, with those of the first seed of an experiment.

    A head is the vector of all its scores, periods averaged, each in standard deviations over the study's heads;
    similarity is the correlation of two vectors over the scores that both runs have. The matching is the one with
    the greatest sum of similarities (Hungarian method), so no head is given away twice, as roles may be.

    Args:
        head_scores: HEAD_SCORES of a study.
        against: the experiment that the reference is taken from.

    Returns:
        HEAD_MATCHES; a head without a partner, where the reference has fewer, has nulls.
    """
    vectors = head_scores.pivot_table("value", HEAD, SCORE, aggfunc="mean")
    spread = vectors.std(ddof=0)
    vectors = (vectors - vectors.mean()) / spread.where(spread > 0)
    if against not in vectors.index.get_level_values("experiment"):
        return pd.DataFrame(columns=COLUMNS)
    reference = vectors.loc[against]
    first = reference.index.get_level_values("seed").min()
    rows = []
    for (experiment, seed, layer), heads in vectors.groupby([*RUN, "layer"]):
        others = reference.loc[first]
        others = others[others.index.get_level_values("layer") == layer]
        for head, other, similarity, at_random in matched(heads.to_numpy(), others.to_numpy()):
            pair = (experiment, seed, layer, heads.index.get_level_values("head")[head], against, first)
            name = None if other is None else others.index.get_level_values("head")[other]
            rows.append((*pair, name, similarity, at_random))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"reference_head": "Int64"})


def matched(heads: np.ndarray, others: np.ndarray) -> list[tuple[int, int | None, float, float]]:
    """Match rows of two matrices by correlation.

    Args:
        heads: [head, score]; NaN where a score is undefined.
        others: [other, score].

    Returns:
        For each row of `heads`: itself, its partner or None, their similarity, and the mean similarity of all
        pairs, which partners at random would have.
    """
    known = ~(np.isnan(heads).any(0) | np.isnan(others).any(0))
    if not len(others) or known.sum() < 2:
        return [(head, None, np.nan, np.nan) for head in range(len(heads))]
    units = [_unit(rows[:, known]) for rows in (heads, others)]
    similarity = np.clip(units[0] @ units[1].T, -1, 1)
    partner = dict(zip(*linear_sum_assignment(similarity, maximize=True), strict=True))
    at_random = float(similarity.mean())
    return [
        (head, partner.get(head), float(similarity[head, partner[head]]) if head in partner else np.nan, at_random)
        for head in range(len(heads))
    ]


def _unit(rows: np.ndarray) -> np.ndarray:
    """Return each row without its mean, at length 1; zeros stay."""
    centred = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
