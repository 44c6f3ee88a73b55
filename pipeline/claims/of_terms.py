"""Claims about the four terms of layer 0's scores: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or None where the model has no positions.
"""

import pandas as pd

from pipeline.claims.best_heads import CHOOSING, JUDGING, half
from pipeline.claims.crossed import Number, mean_of, share_of, weighted_mean
from pipeline.claims.finding import Finding, Tables
from pipeline.claims.keys import parts

FOUR = ("token", "position")  # sources of the notebook's terms


def _layer_0_terms(tables: Tables, statistic: str, keys: str = "all") -> pd.DataFrame:
    """Return SENTENCE_TERMS' rows of one statistic of the notebook's four terms, of layer 0, with the term's name."""
    rows = tables["sentence_terms"]
    rows = rows[(rows["layer"] == 0) & (rows["statistic"] == statistic) & (rows["keys"] == keys)]
    rows = rows[rows["query_source"].isin(FOUR) & rows["key_source"].isin(FOUR)]
    return rows.assign(term=rows["query_source"] + "-" + rows["key_source"])


def _means(rows: pd.DataFrame) -> dict[str, Number]:
    """Return each term's mean over heads."""
    heads = {names: weighted_mean(part) for names, part in parts(rows, ["term", "head"])}
    return {
        term: mean_of([number for (of, _), number in heads.items() if of == term])
        for term in dict.fromkeys(term for term, _ in heads)
    }


def _lead_of_positions(tables: Tables, statistic: str) -> Finding | None:
    """Return how much the position-position term leads the largest other, which is chosen on other sentences."""
    rows = _layer_0_terms(tables, statistic)
    if "position-position" not in set(rows["term"]):
        return None
    chosen, judged = (_means(half(rows, which)) for which in (CHOOSING, JUDGING))
    rival = max(chosen.keys() - {"position-position"}, key=lambda term: chosen[term].value)
    by_value = sorted(judged.items(), key=lambda item: -item[1].value)
    evidence = ", ".join(f"{term} {number.value:.3f}" for term, number in by_value)
    without = _means(_layer_0_terms(tables, statistic, "no_begin"))
    if without:
        evidence += f"; without [BEGIN] position-position {without['position-position'].value:.3f}"
    return Finding(judged["position-position"] - judged[rival], evidence, 0.0)


def position_position_largest(tables: Tables) -> Finding | None:
    """How much the position-position term's variance leads the next, each over the sum of all variances."""
    return _lead_of_positions(tables, "naive_share")


def position_position_matters_most(tables: Tables) -> Finding | None:
    """How much the position-position term's share of the scores' variance leads the next term's."""
    return _lead_of_positions(tables, "share")


def position_attends_to_previous(tables: Tables) -> Finding | None:
    """Share of layer-0 heads whose position-position score is largest one token back: the same in all sentences.

    Among the nearer half of the offsets: means over the few queries that reach further are mostly noise.
    """
    rows = tables["offset_profiles"]
    rows = rows[(rows["layer"] == 0) & (rows["query_source"] == "position") & (rows["key_source"] == "position")]
    rows = rows[rows["keys"] == "all"]
    if rows.empty:
        return None
    profiles = rows.pivot_table(index="head", columns="offset", values="mean_score")
    profiles = profiles.loc[:, : int(profiles.columns.max()) // 2]
    favourite = profiles.idxmax(axis="columns")
    evidence = ", ".join(f"0.{head} favours offset {offset}" for head, offset in favourite.items())
    return Finding(share_of(int((favourite == 1).sum()), len(favourite)), evidence, 1 / profiles.shape[1])


def token_attends_to_itself(tables: Tables) -> Finding | None:
    """Mean over layer-0 heads of the token-token score on the diagonal, against the mean of all keys."""
    rows = _layer_0_terms(tables, "diagonal")
    rows = rows[rows["term"] == "token-token"]
    if rows.empty:
        return None
    heads = {head: weighted_mean(part) for (head,), part in parts(rows, ["head"])}
    evidence = ", ".join(f"0.{head} {number.value:+.2f}" for head, number in heads.items())
    return Finding(mean_of([*heads.values()]), evidence, 0.0)
