"""What a study measured of heads that are known: two experiments, three seeds, six sentences."""

import math

import numpy as np
import pandas as pd

SEEDS, SENTENCES, HEADS, PERIODS = (0, 1, 2), 6, 3, (37, 53)
PREVIOUS, INDUCTION = 0.9, 0.8


def study(shift=0.0, probe="same", seeds=SEEDS, noise=0.0):
    """base, and other: the induction head of other attends `shift` more; heads have other numbers in each run."""
    tables = {name: [] for name in ("head_scores", "head_pairs", "sentence_scores", "loss_by_position", "runs")}
    for experiment, more in (("base", 0.0), ("other", shift)):
        for seed in seeds:
            run = {"experiment": experiment, "seed": seed}
            leading = (seed + (experiment == "other")) % HEADS
            by_seed = noise * (math.sin(seed + 1) + more * math.cos(3 * seed))
            found = list(_pattern_scores(leading, more, by_seed))
            tables["sentence_scores"] += [run | row for row in found]
            for names, rows in pd.DataFrame(found).groupby(NAMES, dropna=False):
                value = np.average(rows["value"], weights=rows["weight"])
                tables["head_scores"].append(run | dict(zip(NAMES, names, strict=True)) | {"value": value})
            weights = {"metric": "copying", "definition": "eigenvalue", "eval_set": "weights", "period": None}
            copying = {head: 0.5 if head == leading else 0.0 for head in range(HEADS)}
            for head, value in copying.items():
                row = run | {"layer": 1, "head": head} | weights | {"value": value + by_seed}
                tables["head_scores"].append(row)
            for head in range(HEADS):
                pair = {"src_layer": 0, "src_head": head, "dst_layer": 1, "dst_head": leading}
                pair |= {"metric": "K_composition", "definition": "frobenius", "eval_set": "weights"}
                value = 0.3 if head == leading else 0.1
                tables["head_pairs"].append(run | pair | {"value": value})
            tables["loss_by_position"] += [run | row for row in _losses(more)]
            tables["runs"].append(run | {"stage": "probe", "id": "same" if experiment == "base" else probe})
            tables["runs"].append(run | {"stage": "train", "id": f"{experiment}{seed}"})
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


NAMES = ["layer", "head", "metric", "definition", "eval_set", "period"]


def _pattern_scores(leading, more, by_seed):
    """Sentences alternate about the score, and count 1 and 3 in turn."""
    for metric, eval_set, periods, level in (
        ("previous_token", "text", (None,), PREVIOUS),
        ("induction", "repeated_tokens", PERIODS, INDUCTION + more),
    ):
        layer = 0 if metric == "previous_token" else 1
        for head in range(HEADS):
            for period in periods:
                for sentence in range(SENTENCES):
                    value = (level + by_seed if head == leading else 0.1) + 0.01 * (-1) ** sentence
                    value += 0.02 * (period == 53)
                    definition = "mean" if metric == "previous_token" else "mass"
                    names = dict(zip(NAMES, (layer, head, metric, definition, eval_set, period), strict=True))
                    yield names | {"sentence": sentence, "value": value, "weight": 1.0 + 2 * (sentence % 2)}


def _losses(more):
    for position in range(1, 21):
        for token_class, loss in (("first_copy", 3.0), ("second_copy", 1.0 - more)):
            row = {"eval_set": "repeated_text", "period": None, "position": position, "token_class": token_class}
            yield row | {"loss": loss, "n": 4}
        row = {"eval_set": "text", "period": None, "position": position, "token_class": "other"}
        yield row | {"loss": 4.0, "n": 4}
