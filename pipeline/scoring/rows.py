"""From scores to rows of the score stage's tables."""

import pandas as pd
from torch import Tensor

from pipeline.circuits.scores.score import Scores
from pipeline.plumbing.tensors import to_frame
from pipeline.tables.definitions import DEFINITIONS


def rows(axes: str, scores: Scores, counts: Tensor | None, confidence: float, **constants: object) -> pd.DataFrame:
    """Return a row an element of each score, with its interval and what is known of its definition.

    Args:
        axes: of the scores' values, as `to_frame` takes them.
        scores: by name.
        counts: [resample, sentence], resamples for the intervals of scores that sentences have; None without.
        confidence: of the intervals.
        constants: columns that are the same in all rows.
    """
    frames = []
    for name, score in scores.items():
        known = DEFINITIONS[name]
        lo, hi = score.interval(counts, confidence)
        frame = to_frame(axes, value=score.value, lo=lo, hi=hi)
        frame = frame.assign(**known.names, source=known.source, gauge_invariant=known.gauge_invariant)
        frames.append(frame.assign(chance=score.chance, ideal=score.ideal))
    return pd.concat(frames).assign(**constants)


def sentence_rows(scores: Scores, **constants: object) -> pd.DataFrame:
    """Return a row a sentence and head of each score, [layer, head], that sentences have."""
    frames = [
        to_frame("sentence layer head", value=score.sentences, weight=score.weight).assign(**DEFINITIONS[name].names)
        for name, score in scores.items()
        if score.sentences is not None
    ]
    return pd.concat(frames).assign(**constants)
