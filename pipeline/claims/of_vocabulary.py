"""Claims about what the second notebook's neuron and head say to the vocabulary: each measured on one run's tables.

Each function bears its claim's name, and returns a `Finding`, or why nothing was measured. Nothing of it is drawn: what
a model's weights list is what it is.
"""

import json

import pandas as pd

from pipeline.claims.crossed import Number
from pipeline.claims.finding import Finding, NotMeasured, Tables
from pipeline.claims.keys import of_unit


def neuron_has_one_subject(tables: Tables, neuron: str, significance: float) -> Finding | NotMeasured:
    """Share of the tokens that a neuron's key answers to most that are among those that its value promotes most.

    By chance: the most that value's tokens drawn from the vocabulary have in common with the key's, but for rare draws.
    """
    units = of_unit(tables["vocab_units"], "unit", neuron)
    units = units[units["end"] == "top"]
    answers, promoted = (units.loc[units["matrix"] == matrix, "token_id"] for matrix in ("FF_key", "FF_value"))
    if answers.empty or promoted.empty:
        return NotMeasured(f"neuron {neuron} is none that this model has and project.neurons lists")
    both = units.loc[(units["matrix"] == "FF_key") & units["token_id"].isin(promoted), "token"]
    evidence = f"{len(both)} of {len(answers)} tokens: {' '.join(both) or 'none'}"
    from scipy import stats  # takes a third of all that judge imports, for this one claim

    drawn = stats.hypergeom(len(tables["vocabulary"]), len(promoted), len(answers))
    by_chance = float(drawn.isf(significance)) / len(answers)
    return Finding(Number(len(both) / len(answers)), evidence, by_chance, exact=True)


def ov_pairs_as_counted(tables: Tables, head: str, counted: tuple[int, int]) -> Finding | NotMeasured:
    """How near the number of pairs of the head's OV circuit above the notebook's limit is to its own."""
    return _as_counted(tables, head, "OV", counted[0])


def qk_pairs_as_counted(tables: Tables, head: str, counted: tuple[int, int]) -> Finding | NotMeasured:
    """How near the number of pairs of the head's QK circuit above the notebook's limit is to its own."""
    return _as_counted(tables, head, "QK", counted[1])


def ov_joins_words(tables: Tables, head: str) -> Finding | NotMeasured:
    """Share of the head's strongest OV pairs that lead from what begins no word to what begins one."""
    pairs = _listed(tables, head, "OV")
    if isinstance(pairs, NotMeasured):
        return pairs
    texts = tables["vocabulary"].set_index("token_id")["text"].fillna("")
    begins, goes_on = texts.str.match(r"\s[^\W\d_]"), texts.str.match(r"[^\W\d_]")
    joined = pairs["row_id"].map(goes_on) & pairs["column_id"].map(begins)
    some = pairs[joined].head(5)
    words = ", ".join(f"{row}→{column}" for row, column in zip(some["row_token"], some["column_token"], strict=True))
    evidence = f"{joined.sum()} of {len(pairs)} pairs: {words or 'none'}"
    return Finding(Number(float(joined.mean())), evidence, float(begins.mean() * goes_on.mean()), exact=True)


def qk_has_one_query(tables: Tables, head: str) -> Finding | NotMeasured:
    """Share of the head's strongest QK pairs with one query, which every second pair chooses and the others judge."""
    pairs = _listed(tables, head, "QK")
    if isinstance(pairs, NotMeasured):
        return pairs
    choosing, judging = pairs[pairs["rank"] % 2 == 0], pairs[pairs["rank"] % 2 == 1]
    if judging.empty:
        return NotMeasured(f"head {head} has one QK pair listed; project.pairs lists more")
    query = choosing["row_token"].value_counts(sort=False).idxmax()
    share = (judging["row_token"] == query).mean()
    evidence = f"query {query} in {share:.0%} of {len(judging)} pairs"
    return Finding(Number(float(share)), evidence, 1 / len(tables["vocabulary"]), exact=True)


def _as_counted(tables: Tables, head: str, circuit: str, counted: int) -> Finding | NotMeasured:
    pairs = _listed(tables, head, circuit, fewest=0)
    if isinstance(pairs, NotMeasured):
        return pairs
    runs = tables["runs"]
    settings = json.loads(runs.loc[runs["stage"] == "project", "settings"].iloc[0])
    limit, normaliser = settings["min_value"][circuit], settings["normaliser"]
    if limit is None or normaliser != "notebook":
        return NotMeasured(f"only the notebook's recipe counts; here project.normaliser={normaliser}, limit {limit}")
    full = ", or more: the list is full" if len(pairs) == settings["pairs"] else ""
    evidence = f"{len(pairs)} pairs above {limit:g}{full}; {counted} by the notebook"
    return Finding(Number(min(len(pairs), counted) / max(len(pairs), counted)), evidence, exact=True)


def _listed(tables: Tables, head: str, circuit: str, fewest: int = 1) -> pd.DataFrame | NotMeasured:
    """Return the largest pairs of a head's circuit, read from the embedding, at one distance; refuse fewer pairs."""
    pairs = of_unit(tables["vocab_pairs"], "head", head)
    if pairs.empty:
        return NotMeasured(f"head {head} is none that this model has and project.heads reads")
    pairs = pairs[(pairs["circuit"] == circuit) & (pairs["end"] == "top") & (pairs["emb_mode"] == "embedding")]
    pairs = pairs[pairs["distance"].isna() | (pairs["distance"] == 0)]
    return pairs if len(pairs) >= fewest else NotMeasured(f"head {head} has no pair of its {circuit} circuit listed")
