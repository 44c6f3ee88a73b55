"""Every measure of every run that runs can be compared by: heads are named by their role, not their number."""

import pandas as pd

from pipeline.claims.best_heads import ranked_heads
from pipeline.claims.finding import Share, Tables
from pipeline.claims.keys import HEAD, RUN, SCORE
from pipeline.claims.of_losses import in_context_learning, second_copy_gain

MEASURE = ["role", *SCORE]
COLUMNS = [*RUN, *MEASURE, "period", "sentence", "value", "weight"]
ROLES = ("previous_token", "induction")  # and the pair of both


def measures(tables: Tables, early: Share, late: Share) -> pd.DataFrame:
    """Put what a study measured side by side, sentence by sentence where that is known.

    Roles: previous_token and induction, the head of a run that scores best in them; pair, the first feeding the
    second; model, no head. Choosing the best flatters a score a little, in every experiment alike.

    Args:
        tables: head_scores, head_pairs, sentence_scores, loss_by_position of a study.
        early: which part of a sequence in-context learning is measured from.
        late: to which part.

    Returns:
        Columns COLUMNS; the value of a set of sentences is the mean by weight. Undefined values are left out.
    """
    heads = role_heads(tables["head_scores"])
    losses = tables["loss_by_position"]
    parts = [_of_heads(tables, heads), _of_pairs(tables["head_pairs"], heads), _of_model(losses, early, late)]
    together = pd.concat(parts).reindex(columns=COLUMNS)
    return together.dropna(subset="value").fillna({"sentence": 0, "weight": 1.0})


def role_heads(head_scores: pd.DataFrame) -> pd.DataFrame:
    """Return the best head of each role in each run: experiment, seed, layer, head, role."""
    best = [ranked_heads(head_scores, role).drop_duplicates(RUN)[HEAD].assign(role=role) for role in ROLES]
    return pd.concat(best).sort_values(RUN, kind="stable")


def _of_heads(tables: Tables, heads: pd.DataFrame) -> pd.DataFrame:
    """By sentence where a score is made of sentences, whole where it is not."""
    sentences = tables["sentence_scores"].merge(heads, on=HEAD)
    whole = tables["head_scores"].merge(heads, on=HEAD)
    made_of_sentences = pd.MultiIndex.from_frame(whole[SCORE]).isin(pd.MultiIndex.from_frame(sentences[SCORE]))
    return pd.concat([sentences, whole[~made_of_sentences]])


def _of_pairs(head_pairs: pd.DataFrame, heads: pd.DataFrame) -> pd.DataFrame:
    source, reader = (heads[heads["role"] == role].drop(columns="role") for role in ROLES)
    source = source.rename(columns={"layer": "src_layer", "head": "src_head"})
    reader = reader.rename(columns={"layer": "dst_layer", "head": "dst_head"})
    pair = source.merge(reader, on=RUN)
    rows = head_pairs.merge(pair, on=list(pair.columns))
    return rows.assign(role="pair")


def _of_model(losses: pd.DataFrame, early: Share, late: Share) -> pd.DataFrame:
    """Losses by class of tokens, and what follows from them."""
    names = [*RUN, "eval_set", "period", "token_class"]
    sums = losses.assign(value=losses["loss"] * losses["n"]).groupby(names, dropna=False)[["value", "n"]].sum()
    means = (sums["value"] / sums["n"]).rename("value").reset_index().rename(columns={"token_class": "definition"})
    derived = []
    for run, rows in losses.groupby(RUN):
        of_run = {"loss_by_position": rows}
        for score, finding in {
            ("second_copy_gain", "first_minus_second", "repeated_text"): second_copy_gain(of_run),
            ("in_context_learning", "early_minus_late", "text"): in_context_learning(of_run, early, late),
        }.items():
            if finding is not None:
                derived.append((*run, *score, finding.value))
    derived = pd.DataFrame(derived, columns=[*RUN, *SCORE, "value"])
    return pd.concat([means.assign(metric="loss"), derived]).assign(role="model")
