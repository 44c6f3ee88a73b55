"""How well a score of heads, read from weights or patterns, tells what taking the head away does to the loss.

Source: scores of heads beside what removing them does: Elhelo and Geva 2024, "Inferring Functionality of
Attention Heads from their Parameters".
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.claims.effects import false_discovery
from pipeline.claims.rank_agreement import Run, pooled

UNITS = {"head": ["layer", "head"], "pair": ["src_layer", "src_head", "dst_layer", "dst_head"]}
SCORE = ["metric", "definition", "eval_set"]
EFFECT = ["effect", "effect_set", "token_class"]
MEASURED = ["value", "lo", "hi", "control", "control_hi", "p", "n", "seeds"]
FOUND = ["statistic", "value", "lo", "hi", "control", "control_hi", "p", "q", "n", "seeds"]
BLOCK = 16  # scores at a time; bounds memory, not the result


def validity(
    head_scores: pd.DataFrame,
    ablations: pd.DataFrame,
    head_pairs: pd.DataFrame,
    edges: pd.DataFrame,
    resamples: int,
    permutations: int,
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
        seed: of both.

    Returns:
        Rows of the VALIDITY table; none where a statistic is undefined, as where no head has an effect, or all.
    """
    sides = {
        "head": (head_scores, ablations.rename(columns={"method": "effect"})),
        "pair": (head_pairs, edges.assign(effect="edge_" + edges["kind"])),
    }
    generator = np.random.default_rng(seed)
    frames = [pd.DataFrame(columns=["experiment", *SCORE, *EFFECT, "statistic", *MEASURED])]
    for kind, (scores, effects) in sides.items():
        wide = _wide(scores, effects.rename(columns={"eval_set": "effect_set"}), UNITS[kind])
        for experiment in wide[0].index.unique("experiment"):
            part = [side.loc[[experiment]] for side in wide]
            frames.append(_of_experiment(*part, resamples, permutations, generator).assign(experiment=experiment))
    found = pd.concat(frames, ignore_index=True)
    found["q"] = found.groupby("experiment")["p"].transform(lambda p: false_discovery(p.astype(float)))
    return found


def _wide(scores: pd.DataFrame, effects: pd.DataFrame, units: list[str]) -> tuple[pd.DataFrame, ...]:
    """Return scores, effects and hits as [experiment, seed and unit; name], of the units that have both."""
    index = ["experiment", "seed", *units]
    effects = effects.assign(hit=(effects["lo"] > 0).astype(float))
    tables = ((scores, SCORE, "value"), (effects, EFFECT, "difference"), (effects, EFFECT, "hit"))
    wide = [table.groupby([*index, *names])[value].mean().unstack(names) for table, names, value in tables]
    both = wide[0].index.intersection(wide[1].index).sort_values()
    return tuple(table.loc[both] for table in wide)


def _of_experiment(
    scores: pd.DataFrame,
    effects: pd.DataFrame,
    hits: pd.DataFrame,
    resamples: int,
    permutations: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Return the rows of one experiment, scores that are defined for the same units at a time."""
    runs = [
        Run(*(side.xs(seed, level="seed").to_numpy(float).T for side in (scores, effects, hits)))
        for seed in scores.index.unique("seed")
    ]
    frames = []
    for block, units in _blocks(runs):
        columns_of = pooled(
            [run.of(kept, block) for run, kept in zip(runs, units, strict=True)], resamples, permutations, generator
        )
        for name, columns in columns_of.items():
            index = pd.MultiIndex.from_product([block, range(effects.shape[1])], names=["score", "which"])
            frame = pd.DataFrame({column: values.ravel() for column, values in columns.items()}, index=index)
            frames.append(frame.reset_index().assign(statistic=name, n=sum(map(np.count_nonzero, units))))
    if not frames:
        return pd.DataFrame()
    found = pd.concat(frames, ignore_index=True).dropna(subset="value")
    for column, table in (("score", scores), ("which", effects)):
        names = table.columns.to_frame(index=False).iloc[found.pop(column)]
        found[list(names)] = names.to_numpy()
    return found


def _blocks(runs: list[Run]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Yield scores, by place, and the units of each run that all of them are defined for: bool [unit] each."""
    defined = np.concatenate([np.isfinite(run.scores) for run in runs], axis=1)
    patterns, which = np.unique(defined, axis=0, return_inverse=True)
    ends = np.cumsum([run.scores.shape[1] for run in runs])[:-1]
    for place, pattern in enumerate(patterns):
        scores = np.flatnonzero(which == place).tolist()
        if pattern.any():
            for start in range(0, len(scores), BLOCK):
                yield scores[start : start + BLOCK], np.split(pattern, ends)
