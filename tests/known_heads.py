"""The tables of runs whose heads are known."""

import pandas as pd

# What is known of a head that does nothing; a test says what is different about its heads.
NOTHING = {
    **dict.fromkeys(("previous_token", "current_token", "first_token", "duplicate_token"), 0.1),
    **{"copying": 0.0, "copying_q": 0.8, "period_17": 0.02, "period_5": 0.03, "q": 0.9, "gap_0": 0.9, "gap_8": 0.02},
    **{"copy_suppression": 0.1, "suppression_q": 0.8, "direct_copying": 0.0, "inactive": 0.0},
    **{"chosen_copying": 0.0, "chosen_q": 0.8, "fuzzy_induction": 0.03, "fuzzy_q": 0.8, "distance": 3.0},
    **{"days": 0.1, "days_q": 0.8, "months": 0.1, "months_q": 0.9, "capitals": 0.1, "capitals_q": 0.8},
    **{"content": 0.4, "position": 0.3, "second_copy": 0.0, "novel": 0.0},
}
INDUCTION = {
    **{"period_17": 0.9, "period_5": 0.8, "q": 0.001, "gap_8": 0.7, "content": 0.6, "position": 0.1},
    **{"second_copy": 0.5, "novel": 0.1},
}
FUZZY_CHANCE = 0.02
HALF = 0.02  # half the length of every interval


def tables(*heads, half=HALF, seeds=(0,)):
    """The tables of runs whose heads are all in layer 1, each NOTHING but for what is given; None is not measured."""
    rows = {"head_scores": [], "challenge_scores": [], "attention_terms": [], "ablations": []}

    def add(table, value, **names):
        if value is not None:
            rows[table].append({**names, "value": value, "lo": value - half, "hi": value + half})

    for head, changes in enumerate(heads):
        known, who = NOTHING | changes, {"layer": 1, "head": head}
        for name in ("previous_token", "current_token", "first_token"):
            add("head_scores", known[name], **who, metric=name, definition="mean", eval_set="text")
        repeated = {"eval_set": "repeated_tokens", "period": 17}
        add("head_scores", known["duplicate_token"], **who, metric="duplicate_token", definition="mass", **repeated)
        matching = {"metric": "induction", "definition": "mass"}
        add("head_scores", known["period_17"], **who, **matching, **repeated, q=known["q"])
        eigenvalue = {"metric": "copying", "definition": "eigenvalue", "eval_set": "weights"}
        add("head_scores", known["copying"], **who, **eigenvalue, q=known["copying_q"])
        bottom = {"metric": "copy_suppression", "definition": "bottom10", "eval_set": "weights"}
        add("head_scores", known["copy_suppression"], **who, **bottom, q=known["suppression_q"])
        for name, definition in (
            *(("direct_copying", "attended_logit"), ("inactive", "output_norm")),
            ("distance", "mean"),
        ):
            add("head_scores", known[name], **who, metric=name, definition=definition, eval_set="text")
        chosen = {"metric": "direct_copying", "definition": "chosen_logit", "eval_set": "text"}
        add("head_scores", known["chosen_copying"], **who, **chosen, q=known["chosen_q"])
        near = {"metric": "fuzzy_induction", "definition": "near", "eval_set": "text", "null_mean": FUZZY_CHANCE}
        add("head_scores", known["fuzzy_induction"], **who, **near, q=known["fuzzy_q"])
        for name in ("days", "months", "capitals"):
            words = {"metric": "relation", "definition": name, "eval_set": "weights"}
            add("head_scores", known[name], **who, **words, q=known[f"{name}_q"])
        add("challenge_scores", known["period_5"], **who, **matching, challenge="period", level=5)
        for level in (0, 8):
            add("challenge_scores", known[f"gap_{level}"], **who, **matching, challenge="gap", level=level)
        for name, source in (("content", "stream"), ("position", "position")):
            pair = {"query_source": source, "key_source": source}
            add("attention_terms", known[name], **who, **pair, statistic="share", component="all", keys="all")
        for name in ("second_copy", "novel"):
            removed = {"method": "zero", "eval_set": "repeated_text", "token_class": name}
            add("ablations", known[name], **who, **removed, difference=known[name])
    add("challenge_scores", 3.0, layer=None, head=None, metric="loss", definition="novel", challenge="period", level=5)
    columns = {
        "head_scores": ["metric", "definition", "eval_set", "period", "q", "null_mean"],
        "challenge_scores": ["metric", "definition", "challenge", "level"],
        "attention_terms": ["statistic", "component", "query_source", "key_source", "keys"],
        "ablations": ["method", "eval_set", "token_class", "difference"],
    }
    frames = {
        name: pd.DataFrame(rows[name], columns=["layer", "head", "value", "lo", "hi", *more])
        for name, more in columns.items()
    }
    # An ablation's own number is its difference; its table has no column `value`.
    frames["ablations"] = frames["ablations"].drop(columns="value")
    return {
        name: pd.concat([frame.assign(experiment="base", seed=seed) for seed in seeds], ignore_index=True)
        for name, frame in frames.items()
    }
