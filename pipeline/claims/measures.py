"""Every measure of every run that runs can be compared by: heads are named by their role, not their number."""

from collections.abc import Iterator

import pandas as pd

from pipeline.claims.best_heads import CHOOSING, JUDGING, half, half_scores, ranked_heads
from pipeline.claims.crossed import Number, mean_of, weighted_mean
from pipeline.claims.finding import Share, Tables
from pipeline.claims.keys import HEAD, RUN, SCORE, parts
from pipeline.claims.of_losses import in_context_learning, second_copy_gain

MEASURE = ["role", *SCORE]
ROLES = ("previous_token", "induction")  # and a pair
Runs = dict[str, dict[int, Number]]  # by experiment and seed
Measures = dict[tuple[str, ...], Runs]  # by MEASURE


def measures(tables: Tables, early: Share, late: Share) -> Measures:
    """Put what a study measured side by side, with what each sentence has to do with it where that is known.

    Roles: previous_token and induction, the head of a run that scores best in them; pair, the second and the best
    previous-token head before it, which may feed it; model, no head. Heads are chosen on one half of the sentences and
    measured on the other. A measure with several periods is its mean over them. Undefined ones are left out.

    Args:
        tables: head_scores, head_pairs, sentence_scores and sentence_losses of a study, `with_probes`.
        early: which part of a sequence in-context learning is measured from.
        late: to which part.
    """
    heads = role_heads(tables)
    numbers: dict[tuple, list[Number]] = {}
    for (experiment, seed), measure, number in (*_of_rows(tables, heads), *_of_losses(tables, early, late)):
        if pd.notna(number.value):
            named = tuple(None if pd.isna(name) else name for name in measure)
            numbers.setdefault((named, experiment, seed), []).append(number)
    together: Measures = {}
    for (measure, experiment, seed), of_periods in numbers.items():
        together.setdefault(measure, {}).setdefault(experiment, {})[seed] = mean_of(of_periods)
    return together


def probes_of(runs: pd.DataFrame) -> dict[tuple[str, int], str]:
    """Return which sentences each run was measured on: the id of what drew them."""
    probes = runs.loc[runs["stage"] == "probe", [*RUN, "id"]]
    return {(experiment, seed): identity for experiment, seed, identity in probes.to_numpy()}


def with_probes(tables: Tables) -> Tables:
    """Return the tables of a study, those by sentence with a column `probe`: sentences of equal number are the same."""
    probes = pd.Series(probes_of(tables["runs"])).rename_axis(RUN).rename("probe").reset_index()
    probes["probe"] = pd.factorize(probes["probe"])[0]  # numbers are compared faster than names
    return {name: rows.merge(probes, on=RUN) if "sentence" in rows else rows for name, rows in tables.items()}


def role_heads(tables: Tables) -> pd.DataFrame:
    """Return the best head of each role in each run: experiment, seed, layer, head, role."""
    best = [_ranked(tables, role).drop_duplicates(RUN).assign(role=role) for role in ROLES]
    return pd.concat(best).sort_values(RUN, kind="stable")


def _ranked(tables: Tables, role: str) -> pd.DataFrame:
    """Return the heads of all runs, the best first, by the sentences that choose: experiment, seed, layer, head."""
    return ranked_heads(half_scores(tables, role, CHOOSING), role)[HEAD]


def _of_rows(tables: Tables, heads: pd.DataFrame) -> Iterator[tuple[tuple, tuple, Number]]:
    kinds = [_of_heads(tables, heads), _of_pairs(tables, heads), _classes(tables["sentence_losses"])]
    rows = pd.concat(kinds).fillna({"weight": 1.0}).dropna(subset="value")
    for (experiment, seed, *measure, _), part in parts(rows, [*RUN, *MEASURE, "period"]):
        yield (experiment, seed), tuple(measure), weighted_mean(part)


def _of_heads(tables: Tables, heads: pd.DataFrame) -> pd.DataFrame:
    """By sentence where a score is made of sentences, whole where it is not."""
    sentences = half(tables["sentence_scores"], JUDGING).merge(heads, on=HEAD)
    whole = tables["head_scores"].merge(heads, on=HEAD)
    made_of_sentences = pd.MultiIndex.from_frame(whole[SCORE]).isin(pd.MultiIndex.from_frame(sentences[SCORE]))
    return pd.concat([sentences, whole[~made_of_sentences]])


def _of_pairs(tables: Tables, heads: pd.DataFrame) -> pd.DataFrame:
    source = _ranked(tables, "previous_token").rename(columns={"layer": "src_layer", "head": "src_head"})
    reader = heads.loc[heads["role"] == "induction", HEAD].rename(columns={"layer": "dst_layer", "head": "dst_head"})
    pair = source.merge(reader, on=RUN)
    pair = pair[pair["src_layer"] < pair["dst_layer"]].drop_duplicates(RUN)
    return tables["head_pairs"].merge(pair, on=list(pair.columns)).assign(role="pair")


def _classes(losses: pd.DataFrame) -> pd.DataFrame:
    names = {"loss": "value", "n": "weight", "token_class": "definition"}
    return losses.rename(columns=names).assign(metric="loss", role="model")


def _of_losses(tables: Tables, early: Share, late: Share) -> Iterator[tuple[tuple, tuple, Number]]:
    """Yield what follows from the losses of several classes or places."""
    for run, losses in parts(tables["sentence_losses"], RUN):
        of_run = {"sentence_losses": losses}
        for score, finding in {
            ("second_copy_gain", "first_minus_second", "repeated_text"): second_copy_gain(of_run),
            ("in_context_learning", "early_minus_late", "text"): in_context_learning(of_run, early, late),
        }.items():
            if finding is not None:
                yield run, ("model", *score), finding.number
