"""How well a score of heads, read from weights or patterns, tells what taking the head away does to the loss.

Source: scores of heads beside what removing them does: Elhelo and Geva 2024, "Inferring Functionality of
Attention Heads from their Parameters".
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.claims.keys import RUN, SCORE
from pipeline.claims.rank_agreement import RankedUnits, pooled

UNITS = {"head": ["layer", "head"], "pair": ["src_layer", "src_head", "dst_layer", "dst_head"]}
EFFECT = ["effect", "effect_set", "token_class"]
MEASURED = ["value", "lo", "hi", "control", "control_hi", "p", "n", "n_seeds"]
BLOCK = 16  # scores at a time; bounds memory, not the result


def validity(
    head_scores: pd.DataFrame,
    ablations: pd.DataFrame,
    head_pairs: pd.DataFrame,
    edges: pd.DataFrame,
    resamples: int,
    permutations: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Compare every score of heads with every ablation, and every score of pairs with every cut edge.

    Args:
        head_scores: of a study; a score measured on several periods counts by its mean.
        ablations: of the study; so do effects.
        head_pairs: of the study.
        edges: of the study.
        resamples: of runs and heads, behind each interval.
        permutations: of heads within their runs, behind each control.
        confidence: of the intervals.
        seed: of both.

    Returns:
        Rows of the VALIDITY table; none where a statistic is undefined, as where no head has an effect, or all.
    """
    generator = np.random.default_rng(seed)
    frames = [pd.DataFrame(columns=["experiment", *SCORE, *EFFECT, "statistic", *MEASURED])]
    for _, experiment, scores, effects, hits in ranked_by_experiment(head_scores, ablations, head_pairs, edges):
        for rows in _agreements(scores, effects, hits, resamples, permutations, confidence, generator):
            frames.append(rows.assign(experiment=experiment))
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(q=rows.groupby("experiment")["p"].transform(lambda p: false_discovery(p.to_numpy(float))))


def ranked_by_experiment(
    head_scores: pd.DataFrame, ablations: pd.DataFrame, head_pairs: pd.DataFrame, edges: pd.DataFrame
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Yield the unit (head, pair), an experiment, and its scores, effects and hits as `_by_unit` has them."""
    sides = {
        "head": (head_scores, ablations.rename(columns={"method": "effect"})),
        "pair": (head_pairs, edges.assign(effect="edge_" + edges["kind"])),
    }
    for unit, (scores, effects) in sides.items():
        tables = _by_unit(scores, effects.rename(columns={"eval_set": "effect_set"}), UNITS[unit])
        for experiment in tables[0].index.unique("experiment"):
            of_scores, of_effects, hits = (table.loc[[experiment]] for table in tables)
            yield unit, experiment, of_scores, of_effects, hits


def _by_unit(scores: pd.DataFrame, effects: pd.DataFrame, units: list[str]) -> tuple[pd.DataFrame, ...]:
    """Return scores, effects and hits as [experiment, seed and unit; name], of the units that have both."""
    index = [*RUN, *units]
    effects = effects.assign(hit=(effects["lo"] > 0).astype(float))
    tables = ((scores, SCORE, "value"), (effects, EFFECT, "difference"), (effects, EFFECT, "hit"))
    wide = [table.groupby([*index, *names])[value].mean().unstack(names) for table, names, value in tables]
    both = wide[0].index.intersection(wide[1].index).sort_values()
    return tuple(table.loc[both] for table in wide)


def _agreements(
    scores: pd.DataFrame,
    effects: pd.DataFrame,
    hits: pd.DataFrame,
    resamples: int,
    permutations: int,
    confidence: float,
    generator: np.random.Generator,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of one experiment, scores that are defined for the same units at a time."""
    runs = [
        RankedUnits(*(table.xs(seed, level="seed").to_numpy(float).T for table in (scores, effects, hits)))
        for seed in scores.index.unique("seed")
    ]
    for block, defined in _blocks(runs):
        chosen = [run.of(units, block) for run, units in zip(runs, defined, strict=True)]
        pairs = scores.columns[block].to_frame(index=False).merge(effects.columns.to_frame(index=False), how="cross")
        for statistic, columns in pooled(chosen, resamples, permutations, confidence, generator).items():
            numbers = {name: values.ravel() for name, values in columns.items()}
            n_units = sum(int(units.sum()) for units in defined)
            yield pairs.assign(statistic=statistic, **numbers, n=n_units).dropna(subset="value")


def _blocks(runs: list[RankedUnits]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Yield scores, by place, and the units of each run that all of them are defined for: bool [unit] each."""
    defined = np.concatenate([np.isfinite(run.scores) for run in runs], axis=1)
    patterns, pattern_of_score = np.unique(defined, axis=0, return_inverse=True)
    ends = np.cumsum([run.scores.shape[1] for run in runs])[:-1]
    for place, pattern in enumerate(patterns):
        scores = np.flatnonzero(pattern_of_score == place).tolist()
        if pattern.any():
            for start in range(0, len(scores), BLOCK):
                yield scores[start : start + BLOCK], np.split(pattern, ends)
