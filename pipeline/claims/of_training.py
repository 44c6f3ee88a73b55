"""Claims about how heads came about: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no past or the events did not
happen in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.claims.change_points import change_point, grid_error
from pipeline.claims.crossed import Number, weighted_mean
from pipeline.claims.emergence import CHECKPOINTS
from pipeline.claims.finding import Finding, Tables
from pipeline.claims.keys import parts


def phase_change(tables: Tables, window: float, validity_resamples: int, seed: int) -> Finding | None:
    """Share of all that second copies ever gain that they gain while prefix matching appears.

    That is, from its change point's step over `window` to `window` times it, between checkpoints in a straight
    line over the step's logarithm. By chance: that window's share of all of training, on the same scale. Sentences date
    it: how far the share moves with resamples of these is an error that all runs have.

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
    at, whole = np.log1p(measured), gains[-1] - gains[0]

    def ends(step: float) -> np.ndarray:
        return np.clip(np.log1p([step / window, step * window]), at[0], at[-1])

    def gained(step: float) -> tuple[Number, Number]:
        before, after = (_interpolated(place, at, gains) for place in ends(step))
        return before, after

    step = steps["prefix_matching"]
    before, after = gained(step)
    moved = [gained(other) for other in _resampled_steps(tables, validity_resamples, seed)]
    error = np.std([(late.value - early.value) / whole.value for early, late in moved])
    evidence = (
        f"{before.value:+.2f} nats at step {step / window:.0f}, {after.value:+.2f} at {step * window:.0f}, "
        f"{whole.value:+.2f} in all, with a standard error of {error:.2f} by the sentences that date it"
    )
    start, end = ends(step)
    share = (after - before) / whole
    return Finding(replace(share, error=float(error)), evidence, float((end - start) / (at[-1] - at[0])))


def _resampled_steps(tables: Tables, resamples: int, seed: int) -> Iterator[float]:
    """Yield when prefix matching appears by resamples of the sentences, in the head and as `emergence` has it."""
    (event,) = tables["emergence"].query("event == 'prefix_matching'").to_dict("records")
    rows = tables["checkpoint_sentences"]
    rows = rows[(rows["layer"] == event["layer"]) & (rows["head"] == event["head"])]
    rows = rows.assign(sum=rows["value"].fillna(0) * rows["weight"])
    wide = rows.pivot_table(index="sentence", columns=["step", "period"], values=["sum", "weight"])
    at, count = wide["sum"].columns, len(wide)
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    drawn = (counts @ wide["sum"].to_numpy()) / (counts @ wide["weight"].to_numpy())
    worst = pd.DataFrame(drawn.T, at).groupby(level="step").min()
    for of_resample in worst.to_numpy().T:
        if (change := change_point(worst.index.to_numpy(), of_resample, 0.5, 0)) is not None:
            yield change.step


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
        Number(math.log2(second / first), grid=error),
        f"{evidence}, with a standard error of {error:.2f} by checkpoints",
        0.0,
    )


def _steps(tables: Tables) -> dict[str, float]:
    """Return the step of each event that happened in the run."""
    happened = tables["emergence"].dropna(subset="step")
    return dict(zip(happened["event"], happened["step"], strict=True))
