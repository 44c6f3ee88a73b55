"""Claims about how heads came about: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no past or the events did not
happen in it.
"""

import math

import numpy as np

from pipeline.claims.change_points import grid_error
from pipeline.claims.crossed import Number
from pipeline.claims.emergence import CHECKPOINTS, curves
from pipeline.claims.finding import Finding, Tables


def phase_change(tables: Tables, window: float) -> Finding | None:
    """Share of all that second copies ever gain that they gain while prefix matching appears.

    That is, from its change point's step over `window` to `window` times it, between checkpoints in a straight
    line over the step's logarithm. By chance: that window's share of all of training, on the same scale.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", argument 1.
    """
    steps = _steps(tables)
    checkpoint_scores = tables["checkpoint_scores"]
    gain = curves(checkpoint_scores).get("loss_drop", (None, None))[1] if len(checkpoint_scores) else None
    if gain is None or "prefix_matching" not in steps:
        return None
    step = steps["prefix_matching"]
    start, end = step / window, step * window
    at, values = np.log1p(gain.index.to_numpy(float)), gain.to_numpy(float)
    ends = np.clip(np.log1p([start, end]), at[0], at[-1])
    before, after = np.interp(ends, at, values)
    whole = values[-1] - values[0]
    evidence = f"{before:+.2f} nats at step {start:.0f}, {after:+.2f} at {end:.0f}, {whole:+.2f} in all"
    number = Number(float((after - before) / whole))
    return Finding(number, evidence, float((ends[1] - ends[0]) / (at[-1] - at[0])))


def previous_token_first(tables: Tables) -> Finding | None:
    """Doublings of the step from when the previous-token head appears to when prefix matching does."""
    steps = _steps(tables)
    if not {"previous_token", "prefix_matching"} <= set(steps):
        return None
    first, second = steps["previous_token"], steps["prefix_matching"]
    evidence = f"previous token at step {first:.0f}, prefix matching at {second:.0f}"
    events = tables["emergence"].set_index("event")[CHECKPOINTS].loc[["previous_token", "prefix_matching"]]
    error = grid_error(*events.itertuples(index=False))
    return Finding(
        Number(math.log2(second / first), error=error),
        f"{evidence}, with a standard error of {error:.2f} by checkpoints",
        0.0,
    )


def _steps(tables: Tables) -> dict[str, float]:
    """Return the step of each event that happened in the run."""
    happened = tables["emergence"].dropna(subset="step")
    return dict(zip(happened["event"], happened["step"], strict=True))
