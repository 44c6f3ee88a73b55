"""Scores that rank the heads of a model as a test says."""

from itertools import product

import pandas as pd
from hand_wired import PERIOD

from pipeline.claims.best_heads import SCORES
from pipeline.tables.score import HEAD_SCORES


def scores(weights, known):
    """HEAD_SCORES and SENTENCE_SCORES: every head's number in every role, as known, by role and head; else 0.

    What one half of the sentences says the other half denies: only sentences that choose count.
    """
    rows = []
    for role, (definition, eval_set) in SCORES.items():
        for layer, head in product(range(weights.n_layers), range(weights.n_heads)):
            name = {"layer": layer, "head": head, "metric": role, "definition": definition, "eval_set": eval_set}
            period = PERIOD if eval_set == "repeated_tokens" else None
            rows.append({**name, "period": period, "value": known.get(role, {}).get((layer, head), 0.0)})
    chosen = pd.DataFrame(rows).astype({"period": "Int64"})
    sentences = chosen[chosen["eval_set"] != "weights"]
    sentences = [sentences.assign(sentence=place, weight=1.0) for place in range(4)]
    for odd in sentences[1::2]:
        odd["value"] = 1 - odd["value"]
    chosen = chosen.assign(confidence=0.95, gauge_invariant=True, source="", step=0)
    return chosen.reindex(columns=HEAD_SCORES.names), pd.concat(sentences)
