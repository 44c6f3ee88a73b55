"""Claims about single heads and the pair that makes induction: each measured on one run's tables.

Each function returns a `Finding`, or None where the model has no such part.
"""

import pandas as pd

from pipeline.claims.finding import Finding, Tables
from pipeline.claims.roles import ROLES

SIGNIFICANT = 0.05  # false discoveries allowed among the heads called so: Benjamini-Hochberg q


def role_scores(tables: Tables, role: str) -> pd.DataFrame:
    """Return each head's scores in a role, with the head written `layer.head`; no rows if it was not measured."""
    rows = tables["head_scores"]
    definition, eval_set = ROLES[role]
    rows = rows[(rows["metric"] == role) & (rows["definition"] == definition) & (rows["eval_set"] == eval_set)]
    return rows.assign(name=rows["layer"].astype(str) + "." + rows["head"].astype(str)).dropna(subset="value")


def best_previous_token_head(tables: Tables) -> pd.Series | None:
    """Return the layer-0 head that attends most to the token before, on held-out text; None if none was scored."""
    rows = role_scores(tables, "previous_token")
    rows = rows[rows["layer"] == 0]
    return None if rows.empty else rows.loc[rows["value"].idxmax()]


def best_induction_head(tables: Tables) -> pd.Series | None:
    """Return the head with the most prefix-matching attention on its worst period; None if none was scored."""
    rows = role_scores(tables, "induction")
    if rows.empty:
        return None
    worst = rows.loc[rows.groupby(["layer", "head"])["value"].idxmin()]
    return worst.loc[worst["value"].idxmax()]


def shift_by_one(tables: Tables) -> Finding | None:
    """Attention to the token before, of the best layer-0 head."""
    head = best_previous_token_head(tables)
    if head is None:
        return None
    return Finding(head["value"], f"head {head['name']}: {head['value']:.3f}", head["chance"])


def induction(tables: Tables) -> Finding | None:
    """Prefix-matching mass of the best head, on the worst of the periods."""
    head = best_induction_head(tables)
    if head is None:
        return None
    rows = role_scores(tables, "induction")
    rows = rows[rows["name"] == head["name"]].sort_values("period")
    by_period = ", ".join(
        f"{value:.3f} at period {period:.0f}" for period, value in zip(rows["period"], rows["value"], strict=True)
    )
    return Finding(head["value"], f"head {head['name']}: {by_period}", head["chance"])


def copying(tables: Tables) -> Finding | None:
    """Eigenvalue copying score of the best induction head's OV circuit."""
    head = best_induction_head(tables)
    if head is None:
        return None
    rows = role_scores(tables, "copying")
    row = rows[rows["name"] == head["name"]].iloc[0]
    return Finding(row["value"], f"head {row['name']}: {row['value']:.3f}{_significance(row)}", row["chance"])


def most_heads_copy(tables: Tables) -> Finding | None:
    """Share of all heads whose OV circuit's eigenvalues are more positive than chance has it, at q < 0.05."""
    rows = role_scores(tables, "copying").dropna(subset="q")
    if rows.empty:
        return None
    copiers = rows[rows["q"] < SIGNIFICANT]
    named = ", ".join(f"{row['name']} ({row['value']:.2f})" for _, row in copiers.iterrows())
    return Finding(len(copiers) / len(rows), f"{len(copiers)} of {len(rows)} heads: {named or 'none'}", SIGNIFICANT)


def k_composition(tables: Tables) -> Finding | None:
    """K-composition of the best previous-token head with the best induction head, over its chance level."""
    source, reader = best_previous_token_head(tables), best_induction_head(tables)
    if source is None or reader is None:
        return None
    rows = tables["head_pairs"]
    rows = rows[(rows["metric"] == "K_composition") & (rows["definition"] == "frobenius")]
    pair = rows[
        (rows["src_layer"] == source["layer"])
        & (rows["src_head"] == source["head"])
        & (rows["dst_layer"] == reader["layer"])
        & (rows["dst_head"] == reader["head"])
    ]
    if pair.empty:
        return None
    row = pair.iloc[0]
    ratio = float(row["value"] / row["chance"])
    return Finding(ratio, f"{source['name']} -> {reader['name']}: {ratio:.2f} times chance{_significance(row)}", 1.0)


def _significance(row: pd.Series) -> str:
    """Return a score's distance from its null in words, if it has one."""
    return "" if pd.isna(row["z"]) else f" (z {row['z']:.1f}, q {row['q']:.2g})"
