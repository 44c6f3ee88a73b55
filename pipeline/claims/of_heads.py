"""Claims about single heads and the pair that makes induction: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no such part.
"""

import pandas as pd

from pipeline.circuits.chance.false_discovery import share_by_chance
from pipeline.claims.best_heads import JUDGING, chosen_head, half, half_scores, role_scores
from pipeline.claims.crossed import Number, share_of, weighted_mean
from pipeline.claims.finding import Finding, Tables
from pipeline.claims.keys import head_name


def shift_by_one(tables: Tables) -> Finding | None:
    """Attention to the token before, of the best previous-token head."""
    head = chosen_head(tables, "previous_token")
    if head is None:
        return None
    number = _judged(tables, "previous_token", head)
    return Finding(number, f"head {_name(head)}: {number.value:.3f}", head["chance"])


def induction(tables: Tables) -> Finding | None:
    """Prefix-matching mass of the best head, on the worst of the periods; chosen, as the head, on other sentences."""
    head = chosen_head(tables, "induction")
    if head is None:
        return None
    periods = _of_head(half_scores(tables, "induction", JUDGING), head).sort_values("period")
    by_period = ", ".join(f"{row.value:.3f} at period {row.period:.0f}" for row in periods.itertuples())
    return Finding(_judged(tables, "induction", head), f"head {_name(head)}: {by_period}", head["chance"])


def copying(tables: Tables) -> Finding | None:
    """Eigenvalue copying score of the best induction head's OV circuit."""
    head = chosen_head(tables, "induction")
    if head is None:
        return None
    score = _of_head(role_scores(tables["head_scores"], "copying"), head).iloc[0]
    evidence = f"head {_name(head)}: {score['value']:.3f}{_significance(score)}"
    return Finding(Number(float(score["value"])), evidence, score["chance"])


def most_heads_copy(tables: Tables, significance: float) -> Finding | None:
    """Share of all heads whose OV circuit's eigenvalues are significantly more positive than chance has it.

    By chance: the share that so many random heads, independent of each other, are expected to have.
    """
    scores = role_scores(tables["head_scores"], "copying").dropna(subset="q")
    if scores.empty:
        return None
    copiers = scores[scores["q"] < significance]
    named = ", ".join(f"{_name(row)} ({row['value']:.2f})" for _, row in copiers.iterrows())
    evidence = f"{len(copiers)} of {len(scores)} heads: {named or 'none'}"
    return Finding(share_of(len(copiers), len(scores)), evidence, share_by_chance(len(scores), significance))


def k_composition(tables: Tables) -> Finding | None:
    """K-composition of the best previous-token head with the best induction head, over its chance level."""
    reader = chosen_head(tables, "induction")
    source = None if reader is None else chosen_head(tables, "previous_token", int(reader["layer"]))
    if source is None or reader is None:
        return None
    pairs = tables["head_pairs"]
    pairs = pairs[(pairs["metric"] == "K_composition") & (pairs["definition"] == "frobenius")]
    pairs = pairs[(pairs["src_layer"] == source["layer"]) & (pairs["src_head"] == source["head"])]
    pairs = pairs[(pairs["dst_layer"] == reader["layer"]) & (pairs["dst_head"] == reader["head"])]
    if pairs.empty:
        return None
    pair = pairs.iloc[0]
    ratio = float(pair["value"] / pair["chance"])
    evidence = f"{_name(source)} -> {_name(reader)}: {ratio:.2f} times chance{_significance(pair)}"
    return Finding(Number(ratio), evidence, 1.0)


def _judged(tables: Tables, role: str, head: pd.Series) -> Number:
    """Return a head's score in a role, on the period on which it was chosen, on the sentences that judge."""
    rows = _of_head(half(role_scores(tables["sentence_scores"], role), JUDGING), head)
    return weighted_mean(rows[rows["period"].isna() if pd.isna(head["period"]) else rows["period"] == head["period"]])


def _of_head(rows: pd.DataFrame, head: pd.Series) -> pd.DataFrame:
    return rows[(rows["layer"] == head["layer"]) & (rows["head"] == head["head"])]


def _name(row: pd.Series) -> str:
    return head_name(row["layer"], row["head"])


def _significance(score: pd.Series) -> str:
    """Return a score's distance from its null in words, if it has one."""
    return "" if pd.isna(score["z"]) else f" (z {score['z']:.1f}, q {score['q']:.2g})"
