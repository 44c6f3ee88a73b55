"""Claims about the four terms of layer 0's scores: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no positions.
"""

import pandas as pd

from pipeline.claims.finding import Finding, Tables


def _layer_0_terms(tables: Tables, statistic: str) -> pd.Series | None:
    """Mean over layer-0 heads of one statistic of the seed's four terms, largest first."""
    rows = tables["attention_terms"]
    rows = rows[(rows["layer"] == 0) & (rows["statistic"] == statistic) & (rows["component"] == "all")]
    rows = rows[rows["query_source"].isin(["token", "position"]) & rows["key_source"].isin(["token", "position"])]
    means = rows.groupby(rows["query_source"] + "-" + rows["key_source"])["value"].mean()
    return means.sort_values(ascending=False) if "position-position" in means else None


def _lead_of_positions(tables: Tables, statistic: str) -> Finding | None:
    terms = _layer_0_terms(tables, statistic)
    if terms is None:
        return None
    lead = terms["position-position"] - terms.drop("position-position").max()
    return Finding(lead, ", ".join(f"{name} {value:.3f}" for name, value in terms.items()), 0.0)


def position_position_largest(tables: Tables) -> Finding | None:
    """How much the position-position term's variance leads the next, each over the sum of all variances."""
    return _lead_of_positions(tables, "naive_share")


def position_position_matters_most(tables: Tables) -> Finding | None:
    """How much the position-position term's share of the scores' variance leads the next term's."""
    return _lead_of_positions(tables, "share")


def _profiles(tables: Tables, source: str) -> pd.DataFrame:
    rows = tables["offset_profiles"]
    rows = rows[(rows["layer"] == 0) & (rows["query_source"] == source) & (rows["key_source"] == source)]
    return rows.pivot_table(index="head", columns="offset", values="mean_score")


def position_attends_to_previous(tables: Tables) -> Finding | None:
    """Share of layer-0 heads whose position-position score is largest one token back.

    Among the nearer half of the offsets: means over the few queries that reach further are mostly noise.
    """
    profiles = _profiles(tables, "position")
    if profiles.empty:
        return None
    profiles = profiles.loc[:, : int(profiles.columns.max()) // 2]
    favourite = profiles.idxmax(axis="columns")
    evidence = ", ".join(f"0.{head} favours offset {offset}" for head, offset in favourite.items())
    return Finding(float((favourite == 1).mean()), evidence, 1 / profiles.shape[1])


def token_attends_to_itself(tables: Tables) -> Finding | None:
    """Mean over layer-0 heads of the token-token score on the diagonal, against the mean of all keys."""
    profiles = _profiles(tables, "token")
    if profiles.empty:
        return None
    diagonal = profiles[0]
    return Finding(float(diagonal.mean()), ", ".join(f"0.{head} {value:+.2f}" for head, value in diagonal.items()), 0.0)
