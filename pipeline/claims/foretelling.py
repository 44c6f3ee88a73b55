"""The score that tells best what taking a head, or an edge, away does, chosen on some runs and judged on others.

The largest of many scores' statistics is large by luck too: `validity` says what each is worth, this what choosing
among them is. Of several runs each is left out in turn; of one, the halves of its units take turns.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.claims.keys import SCORE
from pipeline.claims.rank_agreement import (
    CHANCE,
    LEAST,
    RankedUnits,
    agreement,
    interval,
    mean_over_runs,
    resampled,
    variances,
)
from pipeline.claims.validity import EFFECT, ranked_by_experiment

COLUMNS = ["experiment", "unit", *EFFECT, "statistic", *SCORE, "chosen", "value", "lo", "hi", "scores", "n", "n_seeds"]


def foretelling(
    head_scores: pd.DataFrame,
    ablations: pd.DataFrame,
    head_pairs: pd.DataFrame,
    edges: pd.DataFrame,
    resamples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Choose among the scores that are known of every unit which has an effect, for each effect and statistic.

    Args:
        head_scores: of a study, as the next three; see `validity`.
        ablations: of heads.
        head_pairs: of pairs of heads.
        edges: of these.
        resamples: of runs and units, behind each interval; what was chosen stays.
        confidence: of the intervals.
        seed: of the resamples.

    Returns:
        Rows of the FORETELLING table, without constants.
    """
    generator, rows = np.random.default_rng(seed), []
    for unit, experiment, scores, effects, hits in ranked_by_experiment(head_scores, ablations, head_pairs, edges):
        scores = scores.loc[:, scores.notna().all()]
        if scores.empty or len(scores) < 2:
            continue
        seeds = scores.index.get_level_values("seed")
        part = pd.Series(seeds if seeds.nunique() > 1 else np.arange(len(scores)) % 2)
        parts = [
            RankedUnits(*(table.iloc[places].to_numpy(float).T for table in (scores, effects, hits)))
            for places in part.groupby(part).indices.values()
        ]
        names = effects.columns.to_frame(index=False).to_dict("records"), scores.columns.to_frame(index=False)
        for row in _chosen(parts, *names, resamples, confidence, generator):
            known = {"experiment": experiment, "unit": unit, "scores": scores.shape[1], "n": len(scores)}
            rows.append(row | known | {"n_seeds": seeds.nunique()})
    frame = pd.DataFrame(rows, columns=COLUMNS)
    one_run = frame["n_seeds"] == 1
    return frame.assign(lo=frame["lo"].mask(one_run), hi=frame["hi"].mask(one_run))


def _chosen(
    parts: list[RankedUnits],
    effects: list[dict],
    scores: pd.DataFrame,
    resamples: int,
    confidence: float,
    generator: np.random.Generator,
) -> Iterator[dict]:
    """Yield a row an effect and statistic that is defined somewhere."""
    measured = [agreement(part, np.ones((1, part.scores.shape[1]))) for part in parts]
    redrawn = [resampled(part.scores.shape[1], resamples, generator) for part in parts]
    run_counts, n_units = resampled(len(parts), resamples, generator), sum(part.scores.shape[1] for part in parts)
    for statistic in CHANCE:
        found = np.stack([each[statistic][0] for each in measured])  # [part, score, effect]
        others = np.stack([mean_over_runs(np.delete(found, place, 0)) for place in range(len(parts))])
        best = np.where(np.isnan(others), -np.inf, others).argmax(1)  # [part, effect]
        values = np.take_along_axis(found, best[:, None], 1)
        values = np.where(np.all(np.isnan(others), 1, keepdims=True), np.nan, values)
        drawn = np.stack([_of(statistic, *each) for each in zip(parts, redrawn, best, strict=True)])
        n_parts = np.isfinite(values).sum(0)
        value = mean_over_runs(values)
        spread = variances(drawn[:, :, None], run_counts, n_parts)
        ends = interval(value, *spread, n_units, n_parts, confidence)
        lo, hi = np.maximum(ends[0], LEAST[statistic])[0], np.minimum(ends[1], 1.0)[0]
        for place in np.flatnonzero(np.isfinite(value[0])):
            of_effect = best[np.isfinite(values[:, 0, place]), place]
            name, times = max(zip(*np.unique(of_effect, return_counts=True), strict=True), key=lambda each: each[1])
            row = effects[place] | dict(scores.iloc[name]) | {"statistic": statistic, "chosen": times / len(of_effect)}
            yield row | {"value": value[0, place], "lo": lo[place], "hi": hi[place]}


def _of(statistic: str, part: RankedUnits, counts: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the statistic of each effect with its chosen score under resamples, [resample, effect]."""
    used, place = np.unique(best, return_inverse=True)
    drawn = agreement(RankedUnits(part.scores[used], part.effects, part.hits), counts)[statistic]
    return np.take_along_axis(drawn, place[None, None], 1)[:, 0]
