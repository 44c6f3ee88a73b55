"""Which head is the best of its kind: one answer for claims, roles, measures, the course of training and figures.

A role is told by one score. On several periods the worst counts: who works on one period only does not play the
role. Of heads that are equally good, the first counts.

What is best is chosen on every second sentence, and judged on the others: a number that is the best of many on the
sentences it was chosen on is larger than it would be on any others.
"""

from itertools import chain, zip_longest

import pandas as pd

from pipeline.claims.finding import Tables
from pipeline.claims.keys import HEAD, SCORE

# Role -> the score that tells it, a metric of the role's name: its definition, and the sequences it is measured on.
SCORES = {
    "previous_token": ("mean", "text"),
    "current_token": ("mean", "text"),
    "first_token": ("mean", "text"),
    "duplicate_token": ("mass", "repeated_tokens"),
    "induction": ("mass", "repeated_tokens"),
    "copying": ("eigenvalue", "weights"),
}
Head = tuple[int, int]  # layer, head
Rankings = dict[str, dict[Head, float]]  # by role: every head that was scored, the best first, and its score
CHOOSING, JUDGING = 0, 1  # which half of a set: what is left of a sentence's number, divided by 2


def role_scores(head_scores: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return the rows that tell a role, on every period; what is undefined is left out."""
    definition, eval_set = SCORES[role]
    of_role = (head_scores["metric"] == role) & (head_scores["definition"] == definition)
    return head_scores[of_role & (head_scores["eval_set"] == eval_set)].dropna(subset="value")


def half(sentence_scores: pd.DataFrame, which: int) -> pd.DataFrame:
    """Return SENTENCE_SCORES' rows of one half of each set: CHOOSING or JUDGING."""
    return sentence_scores[sentence_scores["sentence"] % 2 == which]


def half_scores(tables: Tables, role: str, which: int) -> pd.DataFrame:
    """Return the rows that tell a role as `role_scores` does, with values of one half of the sentences alone.

    A score that is not made of sentences is the same for both halves.

    Args:
        tables: head_scores and sentence_scores, of one run or of many.
        role: one of SCORES.
        which: CHOOSING or JUDGING.
    """
    whole = role_scores(tables["head_scores"], role)
    names = [*(name for name in HEAD if name in whole), *SCORE, "period"]
    rows = half(role_scores(tables["sentence_scores"], role), which)
    sums = rows.assign(value=rows["value"] * rows["weight"]).groupby(names, dropna=False)[["value", "weight"]].sum()
    if sums.empty:
        return whole
    values = (sums["value"] / sums["weight"]).where(sums["weight"] > 0).rename("value").reset_index()
    periods = {"period": "Int64"}
    whole, values = whole.drop(columns="value").astype(periods), values.astype(periods)
    return whole.merge(values, on=names).dropna(subset="value")


def ranked_heads(scores: pd.DataFrame, role: str, before: int | None = None) -> pd.DataFrame:
    """Return each head's row on its worst period, the best head first; of several runs, all heads together.

    Args:
        scores: HEAD_SCORES, what has its columns or what `half_scores` returns; of one run or, with the columns that
            name them, of many.
        role: one of SCORES.
        before: a layer; only heads of earlier ones are ranked. None for all.
    """
    scores = role_scores(scores, role)
    if before is not None:
        scores = scores[scores["layer"] < before]
    head = [name for name in HEAD if name in scores]
    worst = scores.sort_values([*head, "value"], kind="stable").drop_duplicates(head)
    return worst.sort_values("value", ascending=False, kind="stable")


def best_head(scores: pd.DataFrame, role: str, before: int | None = None) -> pd.Series | None:
    """Return the row of one run's best head, on its worst period; None if no head was scored."""
    ranked = ranked_heads(scores, role, before)
    return None if ranked.empty else ranked.iloc[0]


def chosen_head(tables: Tables, role: str, before: int | None = None) -> pd.Series | None:
    """Return `best_head` of the sentences that choose; what it is worth is for the others to say."""
    return best_head(half_scores(tables, role, CHOOSING), role, before)


def rankings(tables: Tables) -> Rankings:
    """Rank one run's heads by every score that tells a role, on the half of the sentences that chooses."""
    ranked = {role: ranked_heads(half_scores(tables, role, CHOOSING), role) for role in SCORES}
    return {
        role: {(int(row["layer"]), int(row["head"])): float(row["value"]) for row in rows.to_dict("records")}
        for role, rows in ranked.items()
    }


def spread_heads(heads: list[Head], ranked: Rankings, most: int, best: int) -> list[Head]:
    """List the heads to change one by one: all or, of too many, the best of each role and some evenly spaced.

    Args:
        heads: of the whole model, in order.
        ranked: by role.
        most: heads listed.
        best: of a model with more, so many that score best, roles taking turns.
    """
    if len(heads) <= most:
        return heads
    in_turn = dict.fromkeys(head for head in chain(*zip_longest(*ranked.values())) if head)
    leading = list(in_turn)[: min(best, most)]
    others, count = [head for head in heads if head not in leading], most - len(leading)
    return sorted([*leading, *(others[place * len(others) // count] for place in range(count))])
