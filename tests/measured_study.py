"""What a study measured of heads that are known: two experiments, three seeds, six sentences."""

import math

import numpy as np
import pandas as pd

from pipeline.claims.measures import with_probes

SEEDS, SENTENCES, HEADS, PERIODS = (0, 1, 2), 6, 3, (37, 53)
PREVIOUS, INDUCTION = 0.9, 0.8


def study(shift=0.0, probe="same", seeds=SEEDS, noise=0.0):
    """base, and other: the induction head of other attends `shift` more; heads have other numbers in each run."""
    tables = {name: [] for name in ("head_scores", "head_pairs", "sentence_scores", "sentence_losses", "runs")}
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
            tables["sentence_losses"] += [run | row for row in _losses(more)]
            tables["runs"].append(run | {"stage": "probe", "id": "same" if experiment == "base" else probe})
            tables["runs"].append(run | {"stage": "train", "id": f"{experiment}{seed}"})
    return with_probes({name: pd.DataFrame(rows) for name, rows in tables.items()})


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
    """Second copies alternate about their loss; on other tokens all sentences agree."""
    for sentence in range(SENTENCES):
        for part in range(10):
            row = {"period": None, "sentence": sentence, "part": part, "parts": 10, "n": 4}
            around = 0.1 * (-1) ** sentence
            for token_class, loss in (("first_copy", 3.0), ("second_copy", 1.0 - more + around)):
                yield row | {"eval_set": "repeated_text", "token_class": token_class, "loss": loss}
            yield row | {"eval_set": "text", "token_class": "other", "loss": 4.0}
