"""What each head is: a role, the numbers it rests on, and how sure it is.

A role is given by criteria, each a number against a threshold: it holds, fails, or was not measured. None may fail,
and what makes the role what it is must hold; what was not measured is said beside the role. What only looks like
induction is called something else: a head that finds the right key by its distance is a positional
shortcut, and one that finds it by content, but without effect on the loss, matches prefixes.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from scipy import special

from pipeline.claims.finding import Tables
from pipeline.claims.keys import HEAD
from pipeline.claims.role_numbers import relations_known, role_numbers

# Role -> its criteria. A head gets the first role that it plays; the others are listed beside it.
CRITERIA = {
    "induction": ("matches", "significant", "jittered", "content", "causal", "specific"),
    "positional_shortcut": ("matches_some_period", "fails_elsewhere", "by_position"),
    "prefix_matching": ("matches", "significant"),
    "previous_token": ("previous_token",),
    "duplicate_token": ("duplicate_token",),
    "current_token": ("current_token",),
    "first_token": ("first_token",),
    "positional": ("mostly_position", "by_position"),
    "fuzzy_induction": ("fuzzy", "fuzzy_significant"),
    "successor": ("knows_next", "successor_significant"),
    "relation": ("knows_pairs", "relation_significant"),
    "copying": ("copying", "copying_significant"),
    "copy_suppression": ("suppresses", "suppression_significant", "lowers"),
    "direct_copying": ("raises", "raises_significant"),
    "inactive": ("inactive",),
}
# What must be measured, and hold, for a role to be given at all; of other roles, everything.
NEEDED = {
    "induction": ("matches",),
    "prefix_matching": ("matches",),
    "copying": ("copying",),
    "copy_suppression": ("suppresses",),
}
HOLDS, FAILS, UNMEASURED = "holds", "fails", "not measured"
WORDS = ("role", "named", "also", "failed", "unmeasured")


def head_roles(tables: Tables, significance: float, confidence: float, **least: float) -> pd.DataFrame:
    """Give every head of every run its role: rows of HEAD_ROLES.

    A criterion holds if the whole interval of its number lies on its side of the threshold, and fails otherwise. That
    of several periods the worst must lie there is one criterion a period, all of which must hold: choosing the worst
    favours no head, and its interval needs no correction.

    The certainty is a lower bound (Bonferroni's) of the probability that all measured criteria of the role hold, over
    the drawing of sentences, each number normal with the spread of its interval; a q counts as the probability that
    its criterion fails. Of a head without a role it is the same bound that none holds; a role of which nothing was
    measured may then hold.

    Args:
        tables: head_scores, challenge_scores, attention_terms and ablations of a study.
        significance: the largest Benjamini-Hochberg q that is significant.
        confidence: of the numbers' intervals.
        least: what numbers must reach, of the setting judge.roles: `attention` to where a role looks, `position`'s
            share of the scores' variance, the eigenvalue score of `copying`, the share of tokens of `suppression`, the
            share of pairs of a `relation`, the score of what is `inactive`.
    """
    every_head = pd.MultiIndex.from_frame(tables["head_scores"][HEAD].drop_duplicates().sort_values(HEAD))
    numbers = {name: rows.reindex(every_head) for name, rows in role_numbers(tables).items()}
    likely = criteria(numbers, least, significance, confidence)
    state = states(likely, significance, confidence)
    told = pd.DataFrame([words(row) for _, row in state.iterrows()], state.index, columns=list(WORDS))
    heads = shown(numbers).join(told)
    heads["relations"] = relations_known(tables["head_scores"], significance).reindex(every_head).fillna("")
    heads["certainty"] = [certainty(role, row) for role, (_, row) in zip(heads["role"], likely.iterrows(), strict=True)]
    heads["evidence"] = [evidence(row) for row in heads.itertuples()]
    return heads.reset_index()


def states(likely: pd.DataFrame, significance: float, confidence: float) -> pd.DataFrame:
    """Return whether each criterion HOLDS, FAILS or is UNMEASURED, by head, given the probabilities of `criteria`."""
    of_chance = likely.columns.str.endswith("significant")
    # Of what lies outside an interval, half is on either side.
    holds = likely.ge((1 + confidence) / 2) | (likely.ge(1 - significance) & of_chance)
    state = np.select([likely.isna(), holds], [UNMEASURED, HOLDS], FAILS)
    return pd.DataFrame(state, likely.index, likely.columns)


def words(state: pd.Series) -> dict[str, str]:
    """Return WORDS of one head, given the states of its criteria: columns of HEAD_ROLES."""
    played = [role for role, names in CRITERIA.items() if _plays(state, role, names)]
    if "induction" in played:
        played.remove("prefix_matching")
    role, *also = played or ["none"]
    failed = [name for name in CRITERIA["induction"] if state[name] == FAILS]
    lacking = unmeasured(state, role)
    others = "; ".join(named(name, unmeasured(state, name)) for name in also)
    return dict(zip(WORDS, (role, named(role, lacking), others, ", ".join(failed), ", ".join(lacking)), strict=True))


def _plays(state: pd.Series, role: str, names: Sequence[str]) -> bool:
    needed = NEEDED.get(role, names)
    return all(state[name] != FAILS for name in names) and all(state[name] == HOLDS for name in needed)


def unmeasured(state: pd.Series, role: str) -> list[str]:
    """Return what was not measured of a role's criteria; of no role, of those of roles of which none fails."""
    if role == "none":
        open_to_it = [names for names in CRITERIA.values() if all(state[name] != FAILS for name in names)]
        names = dict.fromkeys(chain(*open_to_it))
    else:
        names = CRITERIA[role]
    return [name for name in names if state[name] == UNMEASURED]


def named(role: str, lacking: Sequence[str]) -> str:
    """Return a role as it is shown: with what was not measured of it."""
    return f"{role} (not measured: {', '.join(lacking)})" if lacking else role


def shown(numbers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the numbers as columns of HEAD_ROLES, by head."""
    values = pd.DataFrame({name: rows["value"] for name, rows in numbers.items() if name != "prefix_null"})
    values["prefix_q"] = numbers["prefix_null"]["q"]
    values["fuzzy_chance"] = numbers["fuzzy_induction"]["null_mean"]
    for name in ("repeated", "novel"):
        values[[f"{name}_lo", f"{name}_hi"]] = numbers[name][["lo", "hi"]]
    return values


def criteria(
    numbers: dict[str, pd.DataFrame], least: Mapping[str, float], significance: float, confidence: float
) -> pd.DataFrame:
    """Return the probability of each criterion, a column each, by head; NaN where it was not measured.

    `least` is what numbers must reach, by the names of `head_roles`.
    """
    attention = least["attention"]

    def above(name: str, threshold: float) -> pd.Series:
        return probability_above(numbers[name], threshold, confidence)

    def leads(name: str, other: str) -> pd.Series:
        return probability_leads(numbers[name], numbers[other], confidence)

    matches, jittered = above("prefix_worst", attention), above("jittered", attention)
    # No sentences were drawn for what weights say: it is certain.
    copying, suppression, successor, relation = (
        numbers[name].assign(lo=numbers[name]["value"], hi=numbers[name]["value"])
        for name in ("copying", "copy_suppression", "successor", "relation")
    )
    fuzzy, raised = numbers["fuzzy_induction"], numbers["direct_copying"]
    lowered = raised.assign(value=-raised["value"], lo=-raised["hi"], hi=-raised["lo"])
    of_attention = ("previous_token", "duplicate_token", "current_token", "first_token")
    return pd.DataFrame(
        {
            "matches": matches,
            "significant": _significant(numbers["prefix_null"]["q"], significance),
            "jittered": jittered,
            "content": leads("content", "position"),
            "causal": above("repeated", 0),
            "specific": leads("repeated", "novel"),
            "matches_some_period": above("prefix_best", attention),
            "fails_elsewhere": 1 - pd.concat([matches, jittered], axis=1).min(axis=1),
            "by_position": leads("position", "content"),
            **{role: above(role, attention) for role in of_attention},
            "mostly_position": above("position", least["position"]),
            # Most of its attention there is more than chance gives.
            "fuzzy": probability_above(fuzzy, 2 * fuzzy["null_mean"], confidence),
            "fuzzy_significant": _significant(fuzzy["q"], significance),
            "knows_next": probability_above(successor, least["relation"], confidence),
            "successor_significant": _significant(successor["q"], significance),
            "knows_pairs": probability_above(relation, least["relation"], confidence),
            "relation_significant": _significant(relation["q"], significance),
            "copying": probability_above(copying, least["copying"], confidence),
            "copying_significant": _significant(copying["q"], significance),
            "suppresses": probability_above(suppression, least["suppression"], confidence),
            "suppression_significant": _significant(suppression["q"], significance),
            "lowers": probability_above(lowered, 0, confidence),
            "raises": above("chosen_copying", 0),
            "raises_significant": _significant(numbers["chosen_copying"]["q"], significance),
            "inactive": above("inactive", least["inactive"]),
        }
    )


def probability_above(number: pd.DataFrame, threshold: float | pd.Series, confidence: float) -> pd.Series:
    """Probability that a number is above the threshold; 0 for one that is certain, and equal to it."""
    return _probability(number["value"] - threshold, _spread(number, confidence))


def probability_leads(number: pd.DataFrame, other: pd.DataFrame, confidence: float) -> pd.Series:
    """Probability that a number is above another; their errors are taken to add up, as at worst they do."""
    return _probability(number["value"] - other["value"], _spread(number, confidence) + _spread(other, confidence))


def _spread(number: pd.DataFrame, confidence: float) -> pd.Series:
    """Standard deviation over the drawing of sentences; NaN without an interval."""
    lowest, highest = special.ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    return (number["hi"] - number["lo"]).clip(lower=0) / (highest - lowest)


def _probability(margin: pd.Series, spread: pd.Series) -> pd.Series:
    certain = np.where(margin > 0, np.inf, -np.inf)
    z = np.divide(margin, spread, out=certain, where=spread.to_numpy() > 0)
    return pd.Series(special.ndtr(z), margin.index).where(margin.notna() & spread.notna())


def _significant(q: pd.Series, significance: float) -> pd.Series:
    return (1 - q).where(q <= significance, 0.0).where(q.notna())


def certainty(role: str, likely: pd.Series) -> float:
    """Lower bound of the probability that a role's measured criteria hold or, for no role, that none's do."""
    if role != "none":
        return max(0.0, 1 - float((1 - likely[list(CRITERIA[role])]).sum()))
    # No role's criteria are likelier all to hold than the least likely of them; induction is prefix matching.
    possible = [likely[list(names)].fillna(1.0).min() for role, names in CRITERIA.items() if role != "induction"]
    return max(0.0, 1 - float(sum(possible)))


def evidence(row) -> str:
    """Say in words and numbers what a role rests on."""
    lacking = [f"not measured: {row.unmeasured}"] * bool(row.unmeasured)
    if row.role == "none":
        known = {role: getattr(row, role) for role in CRITERIA if hasattr(row, role)} | {"prefix": row.prefix_worst}
        known = ", ".join(f"{name} {value:.2f}" for name, value in known.items() if pd.notna(value))
        return "; ".join([f"at most: {known}"] * bool(known) + lacking)
    if row.role == "copying":
        return "; ".join([f"eigenvalue copying score {row.copying:.2f}", "no attention of a known kind", *lacking])
    if row.role == "copy_suppression":
        parts = [f"{row.copy_suppression:.2f} of tokens among the ten smallest of their own row"]
        parts += [f"attended tokens' logits {row.direct_copying:+.2f}"] * pd.notna(row.direct_copying)
        return "; ".join([*parts, *lacking])
    if row.role == "direct_copying":
        return f"logits of the tokens that it chooses to look at {row.chosen_copying:+.3f}"
    if row.role in ("successor", "relation"):
        return f"knows of pairs of words: {row.relations}"
    if row.role == "fuzzy_induction":
        return f"attention {row.fuzzy_induction:.3f} to what followed near tokens, by chance {row.fuzzy_chance:.3f}"
    if row.role == "positional":
        goes = [f"attention goes {row.distance:.1f} tokens back"] * pd.notna(row.distance)
        return "; ".join([f"position explains {row.position:.2f} of its scores' variance", *goes])
    if row.role == "inactive":
        return f"writes {1 - row.inactive:.2f} of its layer's mean"
    if row.role not in ("induction", "positional_shortcut", "prefix_matching"):
        return f"mean attention {getattr(row, row.role):.2f}"
    parts = [
        f"prefix matching {row.prefix_worst:.2f} on its worst period, {row.prefix_best:.2f} on its best",
        f"with random gaps {row.jittered:.2f}",
        f"worst length of sequence {row.short:.2f}",
        f"content explains {row.content:.2f} of its scores' variance, position {row.position:.2f}",
        f"without it {row.repeated:+.2f} nats on second copies, {row.novel:+.2f} on novel tokens",
        f"q {row.prefix_q:.2g}",
    ]
    parts += [f"fails: {row.failed}"] * bool(row.failed) + lacking
    return "; ".join(part for part in parts if "nan" not in part)
