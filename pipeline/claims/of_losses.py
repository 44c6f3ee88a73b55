"""Claims about what heads do to the loss: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no such part.
"""

import math

import pandas as pd

from pipeline.claims.best_heads import best_head
from pipeline.claims.finding import Finding, Share, Tables
from pipeline.claims.keys import head_name


def virtual_heads_matter(tables: Tables) -> Finding | None:
    """Loss added when the most important head pair's path to the logits is removed."""
    rows = tables["head_pairs"]
    rows = rows[(rows["metric"] == "virtual") & (rows["definition"] == "loss_removed")].dropna(subset="value")
    if rows.empty:
        return None
    top = rows.iloc[rows["value"].argmax()]
    name = f"{head_name(top['src_layer'], top['src_head'])} -> {head_name(top['dst_layer'], top['dst_head'])}"
    return Finding(float(top["value"]), f"{name}: {top['value']:+.4f} nats", 0.0)


def single_heads_before_pairs(tables: Tables) -> Finding | None:
    """Fall of the loss from direct path to paths through one head, minus that on to paths through two."""
    rows = tables["term_orders"]
    rows = rows[(rows["eval_set"] == "repeated_text") & (rows["token_class"] == "all")].dropna(subset="order")
    gains = rows.set_index("order")["gain"]
    if not {1, 2} <= set(gains.index):
        return None
    evidence = ", ".join(f"order {order:.0f} {gain:+.3f} nats" for order, gain in gains.sort_index().items())
    return Finding(float(gains[1] - gains[2]), evidence, 0.0)


def second_copy_gain(tables: Tables) -> Finding | None:
    """Loss on first copies minus loss on second copies, in held-out text with a copied segment."""
    rows = tables["loss_by_position"]
    rows = rows[rows["eval_set"] == "repeated_text"]
    mean = {token_class: _mean(part) for token_class, part in rows.groupby("token_class")}
    if not {"first_copy", "second_copy"} <= set(mean):
        return None
    gain = float(mean["first_copy"] - mean["second_copy"])
    return Finding(gain, f"{mean['first_copy']:.2f} nats on first copies, {mean['second_copy']:.2f} on second", 0.0)


def in_context_learning(tables: Tables, early: Share, late: Share) -> Finding | None:
    """Loss on held-out text early in the sequence minus that late in it; both parts hold their first position."""
    rows = tables["loss_by_position"]
    rows = rows[rows["eval_set"] == "text"]
    place = rows["position"] / (rows["position"].max() + 1)
    mean = [_mean(rows[(place >= start) & (place < end)]) for start, end in (early, late)]
    if any(map(math.isnan, mean)):
        return None
    return Finding(mean[0] - mean[1], f"{mean[0]:.3f} nats early, {mean[1]:.3f} late", 0.0)


def induction_is_causal(tables: Tables) -> Finding | None:
    """Loss that the best induction head spares on second copies, over what it spares on novel tokens.

    By chance: the same for a random vector of the head's size taken from the stream.
    """
    head, rows = best_head(tables["head_scores"], "induction"), tables["ablations"]
    if head is None:
        return None
    rows = rows[(rows["layer"] == head["layer"]) & (rows["head"] == head["head"])]
    rows = rows[rows["eval_set"] == "repeated_text"]
    effects = rows.set_index(["method", "token_class"])["difference"]
    if ("zero", "second_copy") not in effects:
        return None
    spared, at_random = (
        float(effects[method, "second_copy"] - effects[method, "novel"]) for method in ("zero", "random_direction")
    )
    both = (
        f"{effects['zero', 'second_copy']:+.3f} nats on second copies, {effects['zero', 'novel']:+.3f} on novel tokens"
    )
    return Finding(spared, f"head {head_name(head['layer'], head['head'])}: {both}", at_random)


def _mean(rows: pd.DataFrame) -> float:
    """Return the mean loss of tokens, given means by position and class; NaN without any."""
    tokens = rows["n"].sum()
    return float((rows["loss"] * rows["n"]).sum() / tokens) if tokens else math.nan
