"""Claims about how heads came about: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no past or the events did not
happen in it.
"""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.claims.change_points import grid_error
from pipeline.claims.crossed import Number, weighted_mean
from pipeline.claims.emergence import CHECKPOINTS
from pipeline.claims.finding import Finding, Tables
from pipeline.claims.keys import parts


def phase_change(tables: Tables, window: float) -> Finding | None:
    """Share of all that second copies ever gain that they gain while prefix matching appears.

    That is, from its change point's step over `window` to `window` times it, between checkpoints in a straight
    line over the step's logarithm. By chance: that window's share of all of training, on the same scale.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", argument 1.
    """
    steps = _steps(tables)
    losses = tables["checkpoint_losses"]
    losses = losses[losses["eval_set"] == "repeated_text"].rename(columns={"loss": "value", "n": "weight"})
    means = {names: weighted_mean(rows) for names, rows in parts(losses, ["step", "token_class"])}
    measured = sorted({step for step, token_class in means if token_class == "second_copy"})
    if not measured or "prefix_matching" not in steps:
        return None
    gains = [means[step, "first_copy"] - means[step, "second_copy"] for step in measured]
    step = steps["prefix_matching"]
    start, end = step / window, step * window
    at = np.log1p(measured)
    ends = np.clip(np.log1p([start, end]), at[0], at[-1])
    before, after = (_interpolated(place, at, gains) for place in ends)
    whole = gains[-1] - gains[0]
    evidence = (
        f"{before.value:+.2f} nats at step {start:.0f}, {after.value:+.2f} at {end:.0f}, {whole.value:+.2f} in all"
    )
    return Finding((after - before) / whole, evidence, float((ends[1] - ends[0]) / (at[-1] - at[0])))


def _interpolated(place: float, at: np.ndarray, numbers: Sequence[Number]) -> Number:
    """Return what lies between numbers `at` places, in a straight line."""
    after = min(max(int(np.searchsorted(at, place)), 1), len(at) - 1)
    share = float((place - at[after - 1]) / (at[after] - at[after - 1]))
    return numbers[after - 1] * (1 - share) + numbers[after] * share


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
