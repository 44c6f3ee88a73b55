"""In which order a circuit came about: when each of its parts appeared, in every run and over seeds."""

import math
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import special

from pipeline.claims.best_heads import best_head, role_scores
from pipeline.claims.change_points import ChangePoint, change_point, reach
from pipeline.claims.crossed import ROUNDING, Number, crossed
from pipeline.claims.keys import RUN, parts

EVENTS = ("previous_token", "k_composition", "prefix_matching", "copying", "loss_drop")
LEVELS = ["before_level", "after_level"]
CHECKPOINTS = ["checkpoint_before", "checkpoint_after"]
COLUMNS = [*RUN, "event", "layer", "head", "step", "lo", "hi", *CHECKPOINTS, *LEVELS, "rank", "n_seeds"]
Curve = tuple[tuple[int, int] | None, pd.Series]
Ends = TypeVar("Ends", np.ndarray, pd.Series)


def curves(checkpoint_scores: pd.DataFrame) -> dict[str, Curve]:
    """Return what each event is seen in: whose it is, (layer, head) or None for the model, and its values by step.

    The heads are those that the last checkpoint shows to be best, followed back: a head's number is the same
    all through a training. previous_token: the best previous-token head's attention to the token before, on text;
    prefix_matching: the best induction head's mass on its worst period at each step; copying: its OV circuit's
    eigenvalue score; k_composition: of these two heads, over chance; loss_drop: nats by which second copies in
    text are predicted better than first copies.

    Args:
        checkpoint_scores: CHECKPOINT_SCORES of one run; where it has no such part (one layer), the event is left out.
    """
    last = checkpoint_scores[checkpoint_scores["step"] == checkpoint_scores["step"].max()]
    reader = best_head(last, "induction")
    source = best_head(last, "previous_token", None if reader is None or not reader["layer"] else int(reader["layer"]))
    seen = {}
    if source is not None:
        seen["previous_token"] = _of_head(checkpoint_scores, "previous_token", source)
    if reader is not None:
        seen["prefix_matching"] = _of_head(checkpoint_scores, "induction", reader)
        seen["copying"] = _of_head(checkpoint_scores, "copying", reader)
    if source is not None and reader is not None and source["layer"] < reader["layer"]:
        seen["k_composition"] = _of_pair(checkpoint_scores, source, reader)
    losses = checkpoint_scores[
        (checkpoint_scores["metric"] == "loss") & (checkpoint_scores["eval_set"] == "repeated_text")
    ]
    losses = losses.pivot(index="step", columns="definition", values="value")
    if {"first_copy", "second_copy"} <= set(losses):
        seen["loss_drop"] = (None, losses["first_copy"] - losses["second_copy"])
    return seen


def _of_head(checkpoint_scores: pd.DataFrame, role: str, head: pd.Series) -> Curve:
    rows = role_scores(checkpoint_scores, role)
    rows = rows[(rows["layer"] == head["layer"]) & (rows["head"] == head["head"])]
    return (int(head["layer"]), int(head["head"])), rows.groupby("step")["value"].min()


def _of_pair(checkpoint_scores: pd.DataFrame, source: pd.Series, reader: pd.Series) -> Curve:
    rows = checkpoint_scores[
        (checkpoint_scores["metric"] == "K_composition") & (checkpoint_scores["definition"] == "frobenius")
    ]
    rows = rows[(rows["src_layer"] == source["layer"]) & (rows["src_head"] == source["head"])]
    rows = rows[(rows["layer"] == reader["layer"]) & (rows["head"] == reader["head"])]
    return (int(reader["layer"]), int(reader["head"])), (rows["value"] / rows["chance"]).set_axis(rows["step"])


def emergence(
    checkpoint_scores: pd.DataFrame, smallest: dict[str, float], confidence: float, fewest: int
) -> pd.DataFrame:
    """Find when each event happened in each run, and over the seeds of each experiment.

    Over seeds, a step is the geometric mean of the runs in which the event happened, its interval that of
    `geometric_mean`; levels and ranks are means.

    Args:
        checkpoint_scores: CHECKPOINT_SCORES of a study.
        smallest: event -> the rise between the levels, in the measure's unit, that counts as happening.
        confidence: of the intervals.
        fewest: checkpoints that are enough to see a change in.

    Returns:
        EMERGENCE; an event that does not happen has a step of null and no rank.
    """
    runs = [
        _of_run(rows, smallest, confidence, fewest).assign(experiment=experiment, seed=seed)
        for (experiment, seed), rows in parts(checkpoint_scores, RUN)
    ]
    every = pd.concat([pd.DataFrame(columns=COLUMNS), *runs])
    over = [
        _over_seeds(rows, confidence) | {"experiment": experiment, "event": event}
        for (experiment, event), rows in every.groupby(["experiment", "event"], sort=False)
    ]
    together = pd.concat([every, pd.DataFrame(over, columns=COLUMNS)], ignore_index=True)
    return together.astype(dict.fromkeys(["seed", "layer", "head", "n_seeds"], "Int64"))


def _of_run(
    checkpoint_scores: pd.DataFrame, smallest: dict[str, float], confidence: float, fewest: int
) -> pd.DataFrame:
    seen, rows = curves(checkpoint_scores), []
    for event in EVENTS:
        head, values = seen.get(event, (None, pd.Series(dtype=float)))
        change = change_point(values.index.to_numpy(), values.to_numpy(float), confidence, fewest)
        rows.append({"event": event, **_named(head), **_levels(change, smallest[event])})
    frame = pd.DataFrame(rows)
    earlier = came_before(frame["hi"].to_numpy()[:, None], frame["lo"].to_numpy()).sum(0)
    rank = np.where(frame["step"].notna(), 1.0 + earlier, math.nan)
    return frame.assign(rank=rank, n_seeds=frame["step"].notna().astype(int))


def came_before(hi: Ends, lo: Ends) -> Ends:
    """Whether an event whose interval ends at `hi` surely came before one whose interval begins at `lo`."""
    return hi <= lo


def _named(head: tuple[int, int] | None) -> dict:
    return dict(zip(("layer", "head"), head or (None, None), strict=True))


def _levels(change: ChangePoint | None, smallest: float) -> dict:
    """Return the columns of a change; its step and interval are NaN where the rise is too small to be one."""
    names = ("step", "lo", "hi", *CHECKPOINTS, *LEVELS)
    if change is None:
        return dict.fromkeys(names, math.nan)
    happened = change.after - change.before >= smallest
    when = change.step, change.lo, change.hi, change.checkpoint_before, change.checkpoint_after
    when = when if happened else (math.nan,) * len(when)
    return dict(zip(names, (*when, change.before, change.after), strict=True))


def _over_seeds(rows: pd.DataFrame, confidence: float) -> dict:
    happened = rows.dropna(subset="step")
    below, above = reach(*happened[["step", *CHECKPOINTS]].to_numpy(float).T)
    step, lo, hi = geometric_mean(happened["step"], confidence, below[None], above[None])
    levels = happened[[*LEVELS, "rank"]].astype(float).mean().to_dict()
    return {"step": step, "lo": lo, "hi": hi, **levels, "n_seeds": len(happened)}


def geometric_mean(
    values: pd.Series, confidence: float, below: np.ndarray, above: np.ndarray
) -> tuple[float, float, float]:
    """Return the geometric mean over seeds of what was read off a grid of checkpoints, and its interval.

    Student's t interval over seeds holds what differs between runs, rounding to checkpoints included; not what the
    rounding does to all runs alike, as all have the same checkpoints: runs that agree better than the grid resolves
    would have no error. So its half width, in the logarithm, is joined in quadrature with that of the common part:
    what lies between two checkpoints w apart is anywhere there alike, `confidence` w / 2 to either side. Runs that
    differ give some of it away: where they fall on both sides of a checkpoint, near which they are, their mean is off
    by no more than sqrt(w^2 / 4 - s^2), for a variance s^2 between them, and so by nothing from s = w / 2 on. Of
    several roundings, of variance w^2 / 12 each, the normal quantile counts, as far as that is less than their sum.

    The truth uniform between two checkpoints, the interval covers 0.94 to 0.985 of 3 runs, 0.95 to 1 of more (1
    where they differ by a tenth of w), at a nominal 0.95. Two runs that share a checkpoint may do so by chance, and
    would leave it to 0.84 of all: of these there is none; where two differ it covers 0.998 or more.

    Args:
        values: one a run.
        confidence: of the interval.
        below: [rounding, run], how far the truth may lie below a value through each rounding, natural logarithm.
        above: likewise.

    Returns:
        Mean and ends; NaN where there are too few runs to tell.
    """
    logs, rounding = np.log(values.astype(float)), below + above
    over = crossed([Number(value) for value in logs])
    unknown = len(logs) == 2 and rounding.any() and np.ptp(logs) < ROUNDING
    mean, half = over.value, math.nan if unknown else over.half_width(confidence)
    variance = float(logs.var()) if len(logs) > 1 else math.nan
    down, up = (math.hypot(half, _hidden(side, variance, confidence)) for side in (below, above))
    return math.exp(mean), math.exp(mean - down), math.exp(mean + up)


def _hidden(distances: np.ndarray, variance: float, confidence: float) -> float:
    """Return the half width that roundings leave in a mean over runs, to one side; see `geometric_mean`."""
    if math.isnan(variance):
        return math.nan
    mean = distances.mean(1)
    squares = float((mean**2).sum())
    normal = float(special.ndtri((1 + confidence) / 2)) * math.sqrt(squares / 3)
    whole = min(normal, confidence * float(mean.sum()))
    return whole * math.sqrt(max(0.0, 1 - variance / squares)) if squares else 0.0
