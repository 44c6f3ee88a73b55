"""Two models head by head, two studies claim by claim."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from pipeline import project
from pipeline.ask.model import Model
from pipeline.ask.printing import Section
from pipeline.ask.screens import SHOWN as SCORES
from pipeline.ask.screens import both_ends
from pipeline.ask.study import study_in
from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.circuits.chance.null_alignment import rotations
from pipeline.circuits.chance.significance import of_few
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary import full_circuits
from pipeline.circuits.vocabulary.alignment import (
    HeadByHead,
    by_head,
    circuits_of,
    compared,
    matched,
    vocabulary_space,
)
from pipeline.circuits.vocabulary.difference import difference
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.circuits.vocabulary.pair_list import entries
from pipeline.claims.crossed import crossed, weighted_mean
from pipeline.frames.tensors import to_frame

KEY = ["experiment", "claim"]
NAMES = ["metric", "definition", "eval_set", "period"]
PLACES = ["layer_a", "head_a", "layer_b", "head_b"]
WEIGHED = ["value", "weight", "sentence"]
SHOWN = 40  # heads on a screen
UNITS = {"OV": "logits", "QK": "scores"}


def of_models(a: Model, b: Model) -> Iterator[Section]:
    """Which head of one is which of the other, by their circuits over the tokens that both read, and what changed.

    Raises:
        ValueError: they have too few tokens in common.
    """
    one, other, said = _folded(a, b)
    both = compared(one, other, vocabulary_space(one, other))
    order = torch.randperm(one.d_vocab, generator=torch.Generator().manual_seed(0))
    by_chance = compared(one, other, vocabulary_space(one, other, order))
    pairs = matched(_together({name: each.correlation for name, each in both.items()}, one, other))
    chance = matched(_together({name: each.correlation for name, each in by_chance.items()}, one, other))
    for matrix, each in both.items():
        values = {"correlation": each.correlation, "difference": each.difference, "share": each.share}
        values = {name: by_head(value, one.n_heads, other.n_heads) for name, value in values.items()}
        shuffled = by_head(by_chance[matrix].correlation, one.n_heads, other.n_heads)[chance].nanmean()
        rows = to_frame("layer_a head_a layer_b head_b", **values, matched=pairs)
        rows = rows.assign(matrix=matrix, chance=float(shuffled))
        partners = rows[rows["matched"]].sort_values(["difference", "share"], ascending=False)
        shown = _named(partners)[["head of A", "head of B", "difference", "share", "correlation"]]
        note = (
            f"changed most first; difference: root mean square over pairs of tokens, {UNITS[matrix]}; share: of both "
            f"circuits' sizes; matched so that the sum of OV's and QK's correlations is largest; of shuffled tokens "
            f"{matrix}'s mean is {float(shuffled):.3g}; {len(shown)} pairs; {said}"
        )
        yield Section(f"{matrix} counterparts", rows, shown.head(SHOWN), note)
    yield scores(a, b, rows.loc[rows["matched"], PLACES])


def of_heads(a: Model, b: Model, name: str, other_name: str | None, k: int, **changes: Any) -> Iterator[Section]:
    """The heads of one model most like a head of another, and the token pairs in which it differs from one of them.

    Args:
        a: one model.
        b: the other.
        name: of the head of `a`.
        other_name: of the head of `b`; the one most like it, by the sum of both correlations, if None.
        k: pairs at each end.
        changes: of the settings of `project`, such as filters=["only_english"].

    Raises:
        ValueError: there is no such head, or the models have too few tokens in common.
    """
    head = a.head(name).head
    given = None if other_name is None else b.head(other_name).head
    one, other, said = _folded(a, b)
    rows = _likeness(a, one, other, head)
    total = rows.groupby(["layer_b", "head_b"])["correlation"].sum().sort_values(ascending=False, kind="stable")
    wide = rows.pivot_table(["correlation", "z", "q"], ["layer_b", "head_b"], "matrix", dropna=False).loc[total.index]
    shown = pd.DataFrame({"head of B": [f"{layer}.{place}" for layer, place in total.index]}, total.index)
    for matrix in UNITS:
        columns = {f"{matrix} {column}": wide[column, matrix] for column in ("correlation", "z", "q")}
        shown = shown.assign(**columns)
    note = f"most alike first; z and q: beyond {b.name}'s heads turned at random in its stream; {said}"
    yield Section(f"Most like head {name}", rows, shown.head(SHOWN), note)
    nearest = total.index[0]
    partner = given or (int(nearest[0]), int(nearest[1]))
    yield from _differences(a, b, head, partner, a.stage("project", pairs=k, positions=False, **changes))
    yield scores(a, b, pd.DataFrame([(*head, *partner)], columns=PLACES))


def _likeness(a: Model, one: Weights, other: Weights, head: Head) -> pd.DataFrame:
    """Return a row a head of the other model and circuit, beside chance."""
    space, place = vocabulary_space(one, other), head[0] * one.n_heads + head[1]
    draws, own, others = a.stage("score").pair_draws, circuits_of(one), circuits_of(other)
    frames = []
    for matrix, each in compared(one, other, space, place).items():
        kernels = (space.read, space.write if matrix == "OV" else space.read)
        by_chance = rotations(own[matrix].of(place), others[matrix], *kernels, draws, torch.Generator().manual_seed(0))
        chance = of_few(each.correlation[0], by_chance)
        values = {"correlation": each.correlation[0], "difference": each.difference[0], "share": each.share[0]}
        values |= {"null_mean": chance.mean, "null_sd": chance.sd, "z": chance.z, "p": chance.p}
        values = {name: value.unflatten(0, (other.n_layers, other.n_heads)) for name, value in values.items()}
        rows = to_frame("layer_b head_b", **values)
        frames.append(rows.assign(matrix=matrix, draws=draws, q=false_discovery(rows["p"].to_numpy())))
    return pd.concat(frames, ignore_index=True).assign(layer_a=head[0], head_a=head[1])


def _differences(a: Model, b: Model, head: Head, partner: Head, settings: project.ProjectSettings) -> Iterator[Section]:
    """Yield the pairs of tokens whose entries of a circuit differ most, both ways, exact."""
    ids = _shared(a, b)
    vocabulary, occurrences = a.vocabulary.iloc[ids[0].numpy()], a.occurrences
    occurrences = None if occurrences is None else occurrences[ids[0]]
    lenses = [
        project.lens_with(settings, model.weights.of_tokens(tokens), vocabulary, occurrences, settings.emb_modes[0])
        for model, tokens in zip((a, b), ids, strict=True)
    ]
    factors = [
        full_circuits.full_circuits(full_circuits.responses(lens.weights, place, full_circuits.readers(lens.weights)))
        for lens, place in zip(lenses, (head, partner), strict=True)
    ]
    shown = a.shown[ids[0]]
    names = f"head {partner[0]}.{partner[1]} of B less head {head[0]}.{head[1]} of A"
    for circuit, unit in UNITS.items():
        own, others = (each[circuit] for each in factors)
        changed = difference(own, others)
        title = f"{circuit} difference: {names}; {unit}"
        if changed is None:
            yield Section(title, pd.DataFrame(), note="none: the circuits are equal, as far as float64 tells")
            continue
        rows = pd.concat(project.pair_rows(settings, lenses[0], circuit, changed), ignore_index=True)
        row, column = (torch.tensor(rows[f"{side}_id"].to_numpy()) for side in ("row", "column"))
        values = {name: entries(*each, row, column).numpy() for name, each in (("a", own), ("b", others))}
        rows = rows.assign(**values, circuit=circuit)
        rows = rows.assign(row_token=shown[rows["row_id"]], column_token=shown[rows["column_id"]])
        yield Section(title, rows.drop(columns=["row_id", "column_id"]), both_ends(rows, "value", "a", "b"))


def scores(a: Model, b: Model, partners: pd.DataFrame) -> Section:
    """How the scores of heads changed, partner by partner; with intervals where both were scored on the same sentences.

    Args:
        a: one model.
        b: the other.
        partners: PLACES, a row a pair of heads.
    """
    sides = [
        model.scores().rename(columns={"layer": f"layer_{side}", "head": f"head_{side}", "value": side})
        for side, model in (("a", a), ("b", b))
    ]
    rows = partners
    for side, frame in zip("ab", sides, strict=True):
        rows = rows.merge(frame[[f"layer_{side}", f"head_{side}", *NAMES, side]], how="inner")
    rows = rows.assign(difference=rows["b"] - rows["a"]).merge(_intervals(a, b, partners), "left", [*PLACES, *NAMES])
    chosen = rows[[name in SCORES for name in zip(rows["metric"], rows["definition"], strict=True)]]
    chosen = chosen.iloc[(-chosen["difference"].abs()).argsort(kind="stable")].head(SHOWN)
    score = chosen["metric"].str.replace("_", " ") + " " + chosen["definition"]
    on = chosen["eval_set"] + chosen["period"].map(lambda period: "" if pd.isna(period) else f" {period:g}")
    shown = _named(chosen)[["head of A", "head of B"]].assign(score=score, on=on)
    shown = shown.assign(**{name: chosen[name] for name in ("a", "b", "difference", "lo", "hi")})
    said = "intervals: over the sentences that both were scored on" if rows["lo"].notna().any() else "no intervals"
    return Section("Scores that changed", rows, shown, f"largest differences, B less A; {said}; --json has all scores")


def _intervals(a: Model, b: Model, partners: pd.DataFrame) -> pd.DataFrame:
    """Return ends of the intervals of differences of scores, of runs that read the same sentences; else no rows."""
    columns, runs = [*PLACES, *NAMES, "lo", "hi"], (a.run, b.run)
    probes = {None if run is None else run.ids["probe"] for run in runs}
    measured = [pd.DataFrame() if run is None else run.rows("sentence_scores") for run in runs]
    if len(probes) > 1 or any(frame.empty for frame in measured):
        return partners.head(0).reindex(columns=columns).astype({"period": "Int64"})
    rows = partners
    for side, frame in zip("ab", measured, strict=True):
        places, by = [f"layer_{side}", f"head_{side}"], [*NAMES, "sentence"]
        own = frame[["layer", "head", *by, "value", "weight"]]
        own.columns = [*places, *by, f"value_{side}", f"weight_{side}"]
        rows = rows.merge(own, on=[name for name in own if name in rows])
    confidence, ends = a.stage("score").confidence, []
    for key, sentences in rows.groupby([*PLACES, *NAMES], dropna=False):
        means = [
            weighted_mean(sentences[[f"value_{side}", f"weight_{side}", "sentence"]].set_axis(WEIGHED, axis=1))
            for side in "ba"
        ]
        change = means[0] - means[1]
        quantile = stats.t.ppf((1 + confidence) / 2, max(len(change.influence) - 1, 1))
        half = float(quantile) * math.sqrt(crossed([change]).of_sentences)
        ends.append((*key, change.value - half, change.value + half))
    return pd.DataFrame(ends, columns=columns).astype({"period": "Int64"})


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        **{
            f"head of {side.upper()}": rows[f"layer_{side}"].astype(str) + "." + rows[f"head_{side}"].astype(str)
            for side in "ab"
        }
    )


def _together(correlations: dict[str, Tensor], a: Weights, b: Weights) -> HeadByHead:
    """Return the sum of both circuits' correlations, an undefined one counted as 0."""
    together = torch.stack([value.nan_to_num(0) for value in correlations.values()]).sum(0)
    return by_head(together, a.n_heads, b.n_heads)


def _shared(a: Model, b: Model) -> tuple[Tensor, Tensor]:
    """Return the ids, in each of two models, of the tokens that both have, in the order of the first one's.

    Raises:
        ValueError: they are too few.
    """
    if list(a.shown) == list(b.shown):
        return torch.arange(len(a.shown)), torch.arange(len(a.shown))
    places = {token: id for id, token in enumerate(b.shown)}
    ids = [(id, places[token]) for id, token in enumerate(a.shown) if token in places]
    if len(ids) < a.asked.shared_tokens:
        raise ValueError(
            f"{a.name} and {b.name} have different vocabularies, with {len(ids)} tokens in common; their heads are "
            f"compared over {a.asked.shared_tokens} at least"
        )
    own, others = zip(*ids, strict=True)
    return torch.tensor(own), torch.tensor(others)


def _folded(a: Model, b: Model) -> tuple[Weights, Weights, str]:
    """Return both models' weights over the tokens that they share, norms' gains folded in; and how many those are."""
    ids = _shared(a, b)
    one, other = (gains_folded(model.weights.of_tokens(own)) for model, own in zip((a, b), ids, strict=True))
    return one, other, f"over {len(ids[0])} tokens that both have"


def of_studies(a: str, b: str) -> Iterator[Section]:
    """Claims that both judged, those whose verdicts differ first."""
    tables = [study_in(name).table("claims") for name in (a, b)]
    both = tables[0].merge(tables[1], on=KEY, suffixes=("_a", "_b"))
    both["differs"] = both["verdict_a"] != both["verdict_b"]
    both = both.sort_values(["differs", *KEY], ascending=[False, True, True])
    shown = both[[*KEY, "value_a", "value_b", "verdict_a", "verdict_b"]]
    note = f"{both['differs'].sum()} of {len(both)} verdicts differ"
    yield Section("Claims", both, shown, note)
