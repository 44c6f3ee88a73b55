"""What the checkpoints of runs show whose events happen at known steps."""

import math

import pandas as pd

from pipeline.claims.emergence import EVENTS, emergence

STEPS = [0, 100, 125, 156, 195, 244, 305, 381, 477, 596, 745]
SMALLEST = dict.fromkeys(EVENTS, 0.3)
WHEN = {"copying": 125, "previous_token": 195, "k_composition": 305, "prefix_matching": 477, "loss_drop": 477}


def run(when=WHEN, seed=0, experiment="base"):
    """A run in which each event happens at once at its step; an event that is left out never does.

    Head 0.1 is the previous-token head, 1.2 the induction head; 1.0 led both before the end.
    """
    previous, worst, keys = (
        ("previous_token", "mean", "text", None),
        ("mass", "repeated_tokens"),
        ("K_composition", "frobenius"),
    )
    copying, nobody = ("copying", "eigenvalue", "weights", None), (None,) * 4
    rows = []
    for step in STEPS:
        done = {event: float(step >= when.get(event, math.inf)) for event in EVENTS}
        early = 0.5 if step < STEPS[-1] else 0.0
        rows += [
            (step, 0, 0, None, None, *previous, 0.05, 0.03),
            (step, 0, 1, None, None, *previous, 0.1 + 0.8 * done["previous_token"], 0.03),
            (step, 1, 0, None, None, *previous, 0.95, 0.03),
            (step, 1, 0, None, None, "induction", *worst, 37, early, 0.02),
            (step, 1, 0, None, None, "induction", *worst, 53, early, 0.02),
            (step, 1, 2, None, None, "induction", *worst, 37, 1.0, 0.02),
            (step, 1, 2, None, None, "induction", *worst, 53, 0.01 + 0.8 * done["prefix_matching"], 0.02),
            (step, 1, 0, None, None, *copying, -0.5, 0.0),
            (step, 1, 2, None, None, *copying, done["copying"], 0.0),
            (step, 1, 2, 0, 1, *keys, "weights", None, 0.06 + 0.06 * done["k_composition"], 0.06),
            (step, 1, 2, 0, 0, *keys, "weights", None, 0.5, 0.06),
            (step, *nobody, "loss", "first_copy", "repeated_text", None, 3.0, None),
            (step, *nobody, "loss", "second_copy", "repeated_text", None, 3.0 - 2.0 * done["loss_drop"], None),
            (step, *nobody, "loss", "other", "text", None, 4.0, None),
        ]
    names = ["step", "layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"]
    frame = pd.DataFrame(rows, columns=[*names, "value", "chance"])
    return frame.astype(dict.fromkeys(["layer", "head", "src_layer", "src_head", "period"], "Int64")).assign(
        experiment=experiment, seed=seed
    )


def events_of(checkpoint_scores, smallest=SMALLEST):
    return emergence(checkpoint_scores, smallest, confidence=0.95, fewest=6)
