"""Which head is the best of its kind: one answer for claims, roles, measures, the course of training and figures.

A role is told by one score. On several periods the worst counts: who works on one period only does not play the
role. Of heads that are equally good, the first counts.
"""

import pandas as pd

from pipeline.claims.keys import HEAD

# Role -> the score that tells it, a metric of the role's name: its definition, and the sequences it is measured on.
SCORES = {
    "previous_token": ("mean", "text"),
    "current_token": ("mean", "text"),
    "first_token": ("mean", "text"),
    "duplicate_token": ("mass", "repeated_tokens"),
    "induction": ("mass", "repeated_tokens"),
    "copying": ("eigenvalue", "weights"),
}
LAYERS = {"previous_token": (0,)}  # where the best head of a role is sought; of all other roles, in every layer


def role_scores(head_scores: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return the rows that tell a role, on every period; what is undefined is left out."""
    definition, eval_set = SCORES[role]
    of_role = (head_scores["metric"] == role) & (head_scores["definition"] == definition)
    return head_scores[of_role & (head_scores["eval_set"] == eval_set)].dropna(subset="value")


def ranked_heads(head_scores: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return each head's row on its worst period, the best head first; of several runs, all heads together.

    Args:
        head_scores: HEAD_SCORES, or what has its columns, of one run or, with the columns that name them, of many.
        role: one of SCORES.
    """
    scores = role_scores(head_scores, role)
    if role in LAYERS:
        scores = scores[scores["layer"].isin(LAYERS[role])]
    head = [name for name in HEAD if name in scores]
    worst = scores.sort_values([*head, "value"], kind="stable").drop_duplicates(head)
    return worst.sort_values("value", ascending=False, kind="stable")


def best_head(head_scores: pd.DataFrame, role: str) -> pd.Series | None:
    """Return the row of one run's best head, on its worst period; None if no head was scored."""
    ranked = ranked_heads(head_scores, role)
    return None if ranked.empty else ranked.iloc[0]
