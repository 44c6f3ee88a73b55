"""Claims about what heads do to the loss: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no such part.
"""

import pandas as pd

from pipeline.claims.best_heads import CHOOSING, JUDGING, half
from pipeline.claims.crossed import Number, weighted_mean
from pipeline.claims.finding import Finding, Share, Tables
from pipeline.claims.keys import head_name, parts

PAIR = ["src_layer", "src_head", "dst_layer", "dst_head"]


def virtual_heads_matter(tables: Tables) -> Finding | None:
    """Loss added when the most important head pair's path to the logits is removed; chosen on other sentences."""
    rows = tables["sentence_pairs"]
    rows = rows[(rows["metric"] == "virtual") & (rows["definition"] == "loss_removed")].dropna(subset="value")
    chosen = {pair: weighted_mean(part).value for pair, part in parts(half(rows, CHOOSING), PAIR)}
    if not chosen:
        return None
    best = max(chosen, key=chosen.__getitem__)
    judged = half(rows, JUDGING)
    number = weighted_mean(judged[(judged[PAIR] == list(best)).all(axis="columns")])
    name = f"{head_name(*best[:2])} -> {head_name(*best[2:])}"
    return Finding(number, f"{name}: {number.value:+.4f} nats ({chosen[best]:+.4f} where it was chosen)", 0.0)


def single_heads_before_pairs(tables: Tables) -> Finding | None:
    """Fall of the loss from direct path to paths through one head, minus that on to paths through two."""
    rows = tables["sentence_orders"]
    rows = rows[rows["eval_set"] == "repeated_text"]
    gains = {int(order): weighted_mean(part) for (order,), part in parts(rows, ["order"])}
    if not {1, 2} <= set(gains):
        return None
    evidence = ", ".join(f"order {order} {gain.value:+.3f} nats" for order, gain in gains.items())
    return Finding(gains[1] - gains[2], evidence, 0.0)


def second_copy_gain(tables: Tables) -> Finding | None:
    """Loss on first copies minus loss on second copies, in held-out text with a copied segment."""
    return _gain(tables, "repeated_text")


def natural_repeats_gain(tables: Tables) -> Finding | None:
    """The same in held-out text that repeats by itself."""
    return _gain(tables, "natural_repeats")


def other_text_gain(tables: Tables) -> Finding | None:
    """The same in text from another source, with a copied segment."""
    return _gain(tables, "other_repeated_text")


def in_context_learning(tables: Tables, early: Share, late: Share) -> Finding | None:
    """Loss on held-out text early in the sequence minus that late in it."""
    at_first, at_last = (_between(tables, place) for place in (early, late))
    if at_first is None or at_last is None:
        return None
    return Finding(at_first - at_last, f"{at_first.value:.3f} nats early, {at_last.value:.3f} late", 0.0)


def late_text_is_harder(tables: Tables, middle: Share, late: Share) -> Finding | None:
    """Loss on held-out text late in the sequence minus that in its middle."""
    within, at_last = (_between(tables, place) for place in (middle, late))
    if within is None or at_last is None:
        return None
    by_part = parts(_losses(tables, "text"), ["part"])
    evidence = "by part: " + " ".join(f"{weighted_mean(rows).value:.2f}" for _, rows in by_part)
    return Finding(at_last - within, evidence, 0.0)


def induction_is_causal(tables: Tables) -> Finding | None:
    """Loss that all heads with an induction head's score spare on second copies, over what they spare on novel tokens.

    By chance: the same for random vectors of their outputs' sizes. None where no head reaches the score.
    """
    rows, sets = (tables[name][tables[name]["role"] == "induction"] for name in ("sentence_sets", "set_ablations"))
    rows, sets = (table[table["eval_set"] == "repeated_text"] for table in (rows, sets))
    removed = {name: weighted_mean(part) for (name,), part in parts(rows[rows["kind"] == "role"], ["token_class"])}
    if "second_copy" not in removed:
        return None
    role = sets[sets["kind"] == "role"].iloc[0]
    at_random = sets[(sets["kind"] == "random_direction") & (sets["size"] == role["size"])]
    at_random = at_random.set_index("token_class")["difference"]
    both = f"{removed['second_copy'].value:+.3f} nats on second copies, {removed['novel'].value:+.3f} on novel tokens"
    spared = removed["second_copy"] - removed["novel"]
    return Finding(spared, f"without {role['heads']}: {both}", float(at_random["second_copy"] - at_random["novel"]))


def _gain(tables: Tables, eval_set: str) -> Finding | None:
    rows = _losses(tables, eval_set)
    mean = {token_class: weighted_mean(part) for (token_class,), part in parts(rows, ["token_class"])}
    if not {"first_copy", "second_copy"} <= set(mean):
        return None
    first, second = mean["first_copy"], mean["second_copy"]
    return Finding(first - second, f"{first.value:.2f} nats on first copies, {second.value:.2f} on second", 0.0)


def _between(tables: Tables, place: Share) -> Number | None:
    """Return the mean loss on held-out text of the parts that lie within a share of the sequence."""
    rows = _losses(tables, "text")
    rows = rows[(rows["start"] >= place[0] - 1e-9) & (rows["end"] <= place[1] + 1e-9)]
    return weighted_mean(rows) if len(rows) else None


def _losses(tables: Tables, eval_set: str) -> pd.DataFrame:
    losses = tables["sentence_losses"]
    losses = losses[losses["eval_set"] == eval_set]
    start, end = (losses["part"] + more for more in (0, 1))
    return losses.assign(
        value=losses["loss"], weight=losses["n"], start=start / losses["parts"], end=end / losses["parts"]
    )
