"""Scores that are known beside scores that were measured: which belong together, and whether they agree."""

import pandas as pd

KEY = ["layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"]
INTEGERS = ("layer", "head", "src_layer", "src_head", "period")
DETERMINED = ("zero", "pattern_preserving")  # ablations that nothing is drawn for


def keyed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every column of KEY, those that do not concern them null."""
    columns = [*KEY, *(name for name in rows.columns if name not in KEY)]
    return rows.reindex(columns=columns).astype(dict.fromkeys(INTEGERS, "Int64"))


def of_scores(head_scores: pd.DataFrame, head_pairs: pd.DataFrame) -> pd.DataFrame:
    """Return one run's scores of heads and of pairs: KEY, measured, null_sd."""
    names = {"dst_layer": "layer", "dst_head": "head"}
    pairs = head_pairs.rename(columns=names)
    return _measured([head_scores, pairs], "value")


def of_losses(
    loss_by_position: pd.DataFrame, ablations: pd.DataFrame, edges: pd.DataFrame, term_orders: pd.DataFrame
) -> pd.DataFrame:
    """Return one run's mean losses, and what they were without heads, edges and paths: KEY, measured, null_sd."""
    losses = loss_by_position.assign(loss=loss_by_position["loss"] * loss_by_position["n"])
    losses = losses.groupby(["eval_set", "period"], dropna=False)[["loss", "n"]].sum().reset_index()
    losses = losses.assign(loss=losses["loss"] / losses["n"], metric="loss", definition="mean")
    orders = term_orders[term_orders["order"].notna() & (term_orders["token_class"] == "all")]
    orders = orders.assign(metric="loss", definition="order_" + orders["order"].astype(str))
    heads = ablations[ablations["method"].isin(DETERMINED) & (ablations["token_class"] == "all")]
    heads = heads.rename(columns={"method": "definition"}).assign(metric="ablation")
    names = {"dst_layer": "layer", "dst_head": "head", "kind": "definition"}
    pairs = edges[edges["token_class"] == "all"].rename(columns=names).assign(metric="edge")
    return pd.concat([_measured([losses, orders], "loss"), _measured([heads, pairs], "difference")])


def _measured(parts: list[pd.DataFrame], value: str) -> pd.DataFrame:
    named = [keyed(part)[[*KEY, value]].assign(null_sd=part.get("null_sd")) for part in parts]
    return pd.concat([part.astype({"null_sd": "float64"}) for part in named]).rename(columns={value: "measured"})


def judged(rows: pd.DataFrame, tolerance: pd.Series, undefined: pd.Series) -> pd.DataFrame:
    """Add absolute_error, tolerance, passed.

    A row passes if its error is within the tolerance; where no value exists, if none was measured; where none
    is known, whatever was measured.

    Args:
        rows: KEY, measured, expected (null where none is known).
        tolerance: of each row; null where chance decides and its size is not known.
        undefined: whether no value exists.
    """
    error = (rows["measured"] - rows["expected"]).abs()
    known = rows["expected"].notna()
    near = rows["measured"].notna() & ((error <= tolerance) | tolerance.isna())
    passed = near.where(known, ~undefined | rows["measured"].isna())
    return rows.assign(absolute_error=error, tolerance=tolerance.where(known), passed=passed.astype(bool))


def counted(bugs: pd.DataFrame) -> str:
    """Return in words how many bugs their gates caught, and how many models without one passed.

    Args:
        bugs: INJECTED_BUGS.
    """
    injected, clean = bugs[bugs["expected_gate"].notna()], bugs[bugs["expected_gate"].isna()]
    return (
        f"{injected['passed'].sum()} of {len(injected)} injected bugs caught; clean models: {clean['passed'].sum()} of "
        f"{len(clean)} pass"
    )
