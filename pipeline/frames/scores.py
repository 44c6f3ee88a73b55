"""From scores, and what chance gives for them, to rows of tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.circuits.definitions.chance_of_heads import Chances
from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.circuits.scores.score import Scores
from pipeline.frames.tensors import to_frame

NAMES = ["metric", "definition"]
COMPARED = ["null_kind", "null_mean", "null_sd", "z", "p", "q"]


def score_rows(axes: str, scores: Scores, counts: Tensor | None, confidence: float, **constants: Any) -> pd.DataFrame:
    """Return a row an element of each score, with its interval and what is known of its definition.

    Args:
        axes: of the scores' values, as `to_frame` takes them.
        scores: by name.
        counts: [resample, sentence], resamples for the intervals of scores that sentences have; None without.
        confidence: of the intervals.
        constants: columns that are the same in all rows; without an eval_set, it is the definition's.
    """
    frames = []
    for name, score in scores.items():
        entry = DEFINITIONS[name]
        lo, hi = score.interval(counts, confidence)
        frame = to_frame(axes, value=score.value, lo=lo, hi=hi).assign(**_named(name))
        frame = frame.assign(source=entry.source, gauge_invariant=entry.gauge_invariant, eval_set=entry.eval_set)
        frames.append(frame.assign(chance=score.chance, ideal=score.ideal))
    return pd.concat(frames).assign(confidence=confidence, **constants)


def sentence_rows(axes: str, scores: Scores, **constants: Any) -> pd.DataFrame:
    """Return a row a sentence and element of each score that sentences have; `axes` as in `score_rows`."""
    frames = [
        to_frame(f"sentence {axes}", value=score.sentences, weight=score.weight).assign(**_named(name))
        for name, score in scores.items()
        if score.sentences is not None and score.weight is not None
    ]
    return pd.concat([pd.DataFrame(), *frames]).assign(**constants)


def loss_rows(losses: Tensor, token_class: np.ndarray, parts: int, **constants: Any) -> pd.DataFrame:
    """Return the mean loss of each class of tokens in each part of each sentence.

    Args:
        losses: [sentence, position], NaN where nothing is predicted.
        token_class: of the same shape.
        parts: into which a sentence is cut; its positions are as equally many as can be.
        constants: columns that are the same in all rows.
    """
    frame = to_frame("sentence position", loss=losses)
    frame["token_class"] = token_class.ravel()
    frame["part"] = frame.pop("position") * parts // losses.shape[1]
    by_part = frame.dropna().groupby(["sentence", "part", "token_class"])["loss"].agg(["mean", "count"]).reset_index()
    return by_part.rename(columns={"mean": "loss", "count": "n"}).assign(parts=parts, **constants)


def null_rows(axes: str, chances: Chances, **constants: Any) -> pd.DataFrame:
    """Return a row an element of each kind of chance of each score; `chosen` marks the kind to compare with."""
    frames = [pd.DataFrame()]
    for name, kinds in chances.items():
        for place, (null_kind, chance) in enumerate(kinds.items()):
            frame = to_frame(axes, null_mean=chance.mean, null_sd=chance.sd, z=chance.z, p=chance.p)
            frame = frame.assign(**_named(name), eval_set=DEFINITIONS[name].eval_set, null_kind=null_kind)
            frames.append(frame.assign(draws=chance.draws, chosen=place == 0))
    return pd.concat(frames).assign(**constants)


def beside_chance(
    scores: pd.DataFrame, nulls: Iterable[pd.DataFrame], heads: list[str], sets: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each row of chance its q over all heads that share its names, and each score its first kind's columns.

    Args:
        scores: of `score_rows`.
        nulls: of `null_rows`.
        heads: the columns that say which head, or pair, a row is of.
        sets: the columns that say which sequences.
    """
    chances = pd.concat(nulls).astype({"draws": "Int64"})
    names = [*NAMES, *sets]
    by_name = chances.groupby([*names, "null_kind"], dropna=False)
    chances["q"] = by_name["p"].transform(lambda p: false_discovery(p.to_numpy()))
    columns = chances.loc[chances["chosen"], [*heads, *names, *COMPARED]]
    scores = scores.merge(columns, "left", on=[*heads, *names])
    span = scores["ideal"] - scores["null_mean"]
    scores["normalised"] = (scores["value"] - scores["null_mean"]) / span.where(span != 0)
    return scores, chances.drop(columns="chosen")


def _named(name: tuple[str, str]) -> dict[str, str]:
    return dict(zip(NAMES, name, strict=True))
