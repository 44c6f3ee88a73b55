"""What is known of every head before it is given a role: numbers, each with its interval over sentences."""

import pandas as pd

from pipeline.claims.best_heads import SCORES, role_scores
from pipeline.claims.finding import Tables
from pipeline.claims.keys import HEAD, without_begin

# Relations of a thing to the next, of its embedding and of what the first feed-forward part makes of it.
SUCCESSORS = tuple(
    f"{relation}{read}"
    for relation in ("days", "months", "numbers", "numerals", "letters")
    for read in ("", "_after_mlp0")
)


def role_numbers(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return value, lo, hi and q of each number, by head; a head that was not measured has no row.

    Args:
        tables: head_scores, challenge_scores, attention_terms and ablations of a study.

    Returns:
        previous_token, current_token, first_token: mean attention on held-out text; duplicate_token: mass
        on repeated tokens, on the worst period; copying: eigenvalue score of the OV circuit; prefix_worst,
        prefix_best: induction mass on the worst and on the best of all periods; prefix_null: the same on the
        period with the largest q; short: on one copy of a segment, at the worst length of the sequence;
        jittered: with random gaps, on the worst level; content and position: share of the scores' variance
        over keys other than [BEGIN] from terms without, and from terms of nothing but, positions, where these are
        terms of their own; position is at least what the distance explains, and content at most all else, whatever
        carries it; repeated and novel: nats that removing the head
        (zero) adds on second copies and on novel tokens; copy_suppression: share of tokens at the bottom of their own
        row of the OV circuit; direct_copying: logits added to attended tokens, chosen_copying: of these, what follows
        attention, fuzzy_induction: attention to what followed near tokens, distance: how far attention goes back, and
        inactive: how much less than its layer the head writes, all on held-out text; successor and relation: share of
        pairs of words that it knows of the relation it knows most of, its q times the number of relations; without a
        value where the model lacks the words.
    """
    scores, terms, ablated = tables["head_scores"], tables["attention_terms"], tables["ablations"]
    heads = tables["challenge_scores"].dropna(subset="layer").astype({"layer": "int64", "head": "int64"})
    heads = _chosen(heads, metric="induction", definition=SCORES["induction"][0])
    periodic = role_scores(scores, "induction")
    every_period = pd.concat([periodic, heads[heads["challenge"] == "period"]])
    removed = _chosen(ablated, method="zero", eval_set="repeated_text")
    terms = without_begin(terms[terms["component"] == "all"])
    shares, distance = (_chosen(terms, statistic=statistic) for statistic in ("share", "distance_share"))
    position = _chosen(shares, query_source="position", key_source="position")
    content = _chosen(shares, query_source="stream", key_source="stream")
    rest = distance.assign(value=1 - distance["value"], lo=1 - distance["hi"], hi=1 - distance["lo"])
    relations = _chosen(scores, metric="relation")
    numbers = {role: role_scores(scores, role) for role in SCORES if role != "induction"} | {
        "prefix_worst": every_period,
        "prefix_best": every_period.assign(order=-every_period["value"]),
        "prefix_null": periodic.assign(order=-periodic["q"]).dropna(subset="q"),
        "short": heads[heads["challenge"] == "length"],
        "jittered": heads[(heads["challenge"] == "gap") & (heads["level"] > 0)],
        "content": pd.concat([content, rest]),
        "position": pd.concat([position, distance]).assign(order=lambda rows: -rows["value"]),
        "repeated": _chosen(removed, token_class="second_copy").assign(value=lambda rows: rows["difference"]),
        "novel": _chosen(removed, token_class="novel").assign(value=lambda rows: rows["difference"]),
        "copy_suppression": _chosen(scores, metric="copy_suppression", definition="bottom10"),
        "direct_copying": _chosen(scores, metric="direct_copying", definition="attended_logit", eval_set="text"),
        "chosen_copying": _chosen(scores, metric="direct_copying", definition="chosen_logit", eval_set="text"),
        "fuzzy_induction": _chosen(scores, metric="fuzzy_induction", definition="near", eval_set="text"),
        "distance": _chosen(scores, metric="distance", definition="mean", eval_set="text"),
        "successor": _best_known(relations[relations["definition"].isin(SUCCESSORS)]),
        "relation": _best_known(relations[~relations["definition"].isin(SUCCESSORS)]),
        "inactive": _chosen(scores, metric="inactive", eval_set="text"),
    }
    return {name: _one_each(rows) for name, rows in numbers.items()}


def _chosen(rows: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Return the rows that hold the wanted value in every named column."""
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows


def relations_known(head_scores: pd.DataFrame, significance: float) -> pd.Series:
    """Return in words which relations each head knows significantly, with the share of pairs; others have no row."""
    rows = _chosen(head_scores, metric="relation")
    rows = rows[rows["q"] <= significance].sort_values("value", ascending=False, kind="stable")
    words = rows["definition"].str.cat(rows["value"].map(" {:.2f}".format).astype(str))
    return words.groupby([rows[name] for name in HEAD]).agg(", ".join)


def _best_known(relations: pd.DataFrame) -> pd.DataFrame:
    """Order relations by their value, q corrected for there being several; of words that the model lacks, it is 1."""
    measured = relations.groupby(HEAD)["q"].transform("count")
    q = (relations["q"] * measured).clip(upper=1).fillna(1.0)
    return relations.assign(order=-relations["value"], q=q)


def _one_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each head's first row in the order of the column `order`, or of the value: the worst."""
    rows = rows.reindex(columns=[*rows.columns, *{"q", "null_mean"}.difference(rows)])
    rows = rows.dropna(subset=["value", "q"], how="all")
    rows = rows.sort_values("order" if "order" in rows else "value", kind="stable")
    return (
        rows.drop_duplicates(HEAD)
        .set_index(HEAD)
        .reindex(columns=["value", "lo", "hi", "q", "null_mean"])
        .sort_index()
        .astype(float)
    )
