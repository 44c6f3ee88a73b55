"""Every measure of every run that runs can be compared by: heads are named by their role, not their number."""

import pandas as pd

from pipeline.claims.finding import Tables
from pipeline.claims.of_heads import best_induction_head, best_previous_token_head
from pipeline.claims.of_losses import in_context_learning, second_copy_gain

RUN = ["experiment", "seed"]
MEASURE = ["role", "metric", "definition", "eval_set"]
COLUMNS = [*RUN, *MEASURE, "period", "sentence", "value", "weight"]
HEAD_ROLES = {"previous_token": best_previous_token_head, "induction": best_induction_head}
DERIVED = {
    ("second_copy_gain", "first_minus_second", "repeated_text"): second_copy_gain,
    ("in_context_learning", "early_minus_late", "text"): in_context_learning,
}


def measures(tables: Tables) -> pd.DataFrame:
    """Put what a study measured side by side, sentence by sentence where that is known.

    Roles: previous_token and induction, the head of a run that scores best in them; pair, the first feeding the
    second; model, no head. Choosing the best flatters a score a little, in every experiment alike.

    Args:
        tables: head_scores, head_pairs, sentence_scores, loss_by_position of a study.

    Returns:
        Columns COLUMNS; the value of a set of sentences is the mean by weight. Undefined values are left out.
    """
    heads = role_heads(tables["head_scores"])
    frames = [_of_heads(tables, heads), _of_pairs(tables["head_pairs"], heads), _of_model(tables["loss_by_position"])]
    together = pd.concat(frames).reindex(columns=COLUMNS)
    return together.dropna(subset="value").fillna({"sentence": 0, "weight": 1.0})


def role_heads(head_scores: pd.DataFrame) -> pd.DataFrame:
    """Return the best head of each role in each run: experiment, seed, role, layer, head."""
    rows = []
    for run, scores in head_scores.groupby(RUN):
        for role, best in HEAD_ROLES.items():
            if (head := best({"head_scores": scores})) is not None:
                rows.append((*run, role, head["layer"], head["head"]))
    return pd.DataFrame(rows, columns=[*RUN, "role", "layer", "head"])


def _of_heads(tables: Tables, heads: pd.DataFrame) -> pd.DataFrame:
    """By sentence where a score is made of sentences, whole where it is not."""
    on = [*RUN, "layer", "head"]
    sentences = tables["sentence_scores"].merge(heads, on=on)
    whole = tables["head_scores"].merge(heads, on=on)
    names = ["metric", "definition", "eval_set"]
    made_of_sentences = pd.MultiIndex.from_frame(whole[names]).isin(pd.MultiIndex.from_frame(sentences[names]))
    return pd.concat([sentences, whole[~made_of_sentences]])


def _of_pairs(head_pairs: pd.DataFrame, heads: pd.DataFrame) -> pd.DataFrame:
    source, reader = (heads[heads["role"] == role].drop(columns="role") for role in HEAD_ROLES)
    source = source.rename(columns={"layer": "src_layer", "head": "src_head"})
    reader = reader.rename(columns={"layer": "dst_layer", "head": "dst_head"})
    pair = source.merge(reader, on=RUN)
    rows = head_pairs.merge(pair, on=list(pair.columns))
    return rows.assign(role="pair")


def _of_model(losses: pd.DataFrame) -> pd.DataFrame:
    names = [*RUN, "eval_set", "period", "token_class"]
    sums = losses.assign(value=losses["loss"] * losses["n"]).groupby(names, dropna=False)[["value", "n"]].sum()
    means = (sums["value"] / sums["n"]).rename("value").reset_index().rename(columns={"token_class": "definition"})
    derived = []
    for run, rows in losses.groupby(RUN):
        for names, measure in DERIVED.items():
            if (finding := measure({"loss_by_position": rows})) is not None:
                derived.append((*run, *names, finding.value))
    derived = pd.DataFrame(derived, columns=[*RUN, "metric", "definition", "eval_set", "value"])
    return pd.concat([means.assign(metric="loss"), derived]).assign(role="model")
