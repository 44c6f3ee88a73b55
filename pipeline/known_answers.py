"""Measure networks wired by hand with the stages that measure any other, and hold the scores against what must be.

Then put bugs, one at a time, into our reading of a random model of every family, and see which gate of `verify` stops
it. If an answer is wrong or a bug passes, the table is failed_... instead, and the study stops.

Last, make models whose heads are known, and see which definition of a score tells these apart.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from pipeline.circuits.closed_forms.expected import UNCOUNTED, UNDEFINED, Expected
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.circuits.definitions.definition import Name
from pipeline.circuits.definitions.expectations import of_random, of_wired
from pipeline.circuits.definitions.protocols import Key, Sequences, least, protocol_scores, subsamples
from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.circuits.gates.checks import largest, of_layers, on_sequences, verdict
from pipeline.claims.definition_power import Judging, curves, definition_power
from pipeline.claims.known_answers import KEY, counted, judged, keyed, of_losses, of_scores
from pipeline.figures.definition_power import definition_power as power_figure
from pipeline.figures.injected_bugs import injected_bugs
from pipeline.figures.known_answers import known_answers
from pipeline.figures.style import save
from pipeline.frames.tensors import sequences_of, sets_of
from pipeline.frames.weights import weights_in
from pipeline.models.injected import BUGS, CLEAN, injected
from pipeline.models.known_heads import BEGIN, FUNCTIONS, KnownModel, Plan, Recipe, known_models, random, text
from pipeline.models.own_forward import own_forward
from pipeline.models.sequences import Copies, periodic_rows, with_copies
from pipeline.models.tiny import D_VOCAB, NAMES, save_tiny
from pipeline.models.training import Optimisation
from pipeline.plumbing.artefacts import Paths, atomic, read, read_parts, record, write
from pipeline.plumbing.in_process import run_jobs
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.figures import OF_KNOWN_ANSWERS
from pipeline.settings.known_answers import KnownAnswersSettings, PlannedRun, PowerSettings
from pipeline.tables.ablate import ABLATIONS, EDGES, TERM_ORDERS
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.known_answers import DEFINITION_CURVES, DEFINITION_POWER, INJECTED_BUGS, KNOWN_ANSWERS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score import HEAD_PAIRS, HEAD_SCORES, LOSS_BY_POSITION

SCORES = (HEAD_SCORES, HEAD_PAIRS)
LOSSES = (LOSS_BY_POSITION, ABLATIONS, EDGES, TERM_ORDERS)
COLUMNS = KNOWN_ANSWERS.names
UNLISTED = "no closed form is given"


def run(settings: KnownAnswersSettings, inputs: Paths, outputs: Paths) -> None:
    """Run every stage of every model, compare, then write and draw, or refuse."""
    folder = outputs.file("known_answers.parquet").parent / "runs"
    for table in (KNOWN_ANSWERS, INJECTED_BUGS):
        failed_file(table, outputs).unlink(missing_ok=True)
    run_jobs(settings.work, folder, outputs.provenance, settings.threads)
    answers = pd.concat([answers_of(settings, run, folder) for run in settings.work.runs])
    if not answers["passed"].all():
        refuse(KNOWN_ANSWERS, answers, outputs, wrong_answer(answers))
    bugs = bugs_caught(settings, folder / "bugs", outputs)
    write(KNOWN_ANSWERS, answers, outputs)
    write(INJECTED_BUGS, bugs, outputs)
    powers, of_curves = definitions_judged(settings.power)
    write(DEFINITION_POWER, powers, outputs)
    write(DEFINITION_CURVES, of_curves, outputs)
    drawn = known_answers(answers), power_figure(powers, of_curves), injected_bugs(bugs)
    files = []
    for name, figure in zip(OF_KNOWN_ANSWERS, drawn, strict=True):
        for suffix in ("svg", "png"):
            files.append(outputs.file(f"{name}.{suffix}"))
            with atomic(files[-1]) as temporary:
                save(figure, temporary, suffix, settings.dpi)
    record(files, outputs)


def answers_of(settings: KnownAnswersSettings, planned: PlannedRun, folder: Path) -> pd.DataFrame:
    """Return one model's scores, known and measured."""
    made = Paths(
        [file for stage, identity in planned.ids.items() for file in (folder / stage / identity).glob("*.parquet")]
    )
    scores, losses = ([read(table, made) for table in tables] for tables in (SCORES, LOSSES))
    measured = pd.concat([of_scores(*scores), of_losses(*losses)])
    model, vocabulary = settings.work.model_of(planned), read(VOCABULARY, made)
    if model["source"] == "constructed":
        construction = Construction.from_dict(model | {"d_vocab": len(vocabulary)})
        of_the_circuit = measured["head"].fillna(0).eq(0) & measured["src_head"].fillna(0).eq(0)
        known = known_of(construction, read(SEQUENCES, made), int((vocabulary["role"] == "begin").any()))
        rows = measured[of_the_circuit].merge(known, on=KEY, how="outer").fillna({"reason": UNLISTED})
        rows["reason"] = rows["reason"].where(rows["expected"].isna())
        tolerance = settings.tolerance * rows["expected"].abs().clip(lower=1)
    else:
        weights = weights_in(read_parts(WEIGHTS, made))
        names = zip(measured["metric"], measured["definition"], strict=True)
        expected = pd.DataFrame([split(of_random(name, weights)) for name in names])
        rows = measured.reset_index(drop=True).join(expected)
        tolerance = settings.random_sds * rows["null_sd"]
    rows = judged(rows, tolerance, rows["reason"].isin([UNDEFINED, UNCOUNTED]))
    return rows.assign(model=planned.experiment)[COLUMNS]


def known_of(construction: Construction, sequences: pd.DataFrame, first: int) -> pd.DataFrame:
    """Return all that is known of a constructed network: KEY, expected, reason."""
    sets = {which: sequences_of(sequences, *which).tolist() for which in sets_of(sequences)}
    rows = []
    for known in of_wired(construction, sets, first):
        pair = {"src_layer": 0, "src_head": 0} if known.pair else {}
        head = {} if known.layer is None else {"head": 0}
        rows.append(asdict(known) | pair | head | split(known.expected))
    return keyed(pd.DataFrame(rows).drop(columns="pair"))


def split(expected: Expected) -> dict[str, object]:
    """Return a value, or the reason why there is none, in columns of their own; NaN is none."""
    if not isinstance(expected, str) and math.isnan(expected):
        expected = UNCOUNTED
    known = not isinstance(expected, str)
    return {"expected": float(expected) if known else float("nan"), "reason": None if known else expected}


def bugs_caught(settings: KnownAnswersSettings, folder: Path, outputs: Paths) -> pd.DataFrame:
    """Return INJECTED_BUGS, its models made in `folder`; refuse where a gate did not do what it must."""
    torch.set_num_threads(settings.verify.threads)
    bugs = pd.DataFrame(row for name in tqdm(NAMES, desc="bugs") for row in bugs_in(settings, name, folder))
    print(counted(bugs))
    if not bugs["passed"].all():
        refuse(INJECTED_BUGS, bugs, outputs, wrong_gate(bugs))
    return bugs


def bugs_in(settings: KnownAnswersSettings, name: str, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row of INJECTED_BUGS for a tiny model as it is, and for each bug that would make another of it."""
    gates = settings.verify
    generator = torch.Generator().manual_seed(gates.seed)
    save_tiny(name, folder / name, generator)
    tokens = torch.randint(D_VOCAB, (gates.sentences, settings.bug_tokens), generator=generator)
    config = json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
    read = load_file(folder / name / "model.safetensors").__getitem__
    own = vars(own_forward(folder / name)(tokens))
    how: dict[str, Any] = {"at_once": gates.sentences, "apart": gates.apart}
    tolerance = gates.tolerance.model_dump()
    for bug in (CLEAN, *(bug for bug in BUGS if name in bug.models)):
        with injected(bug, config, read) as weights:
            found = verdict(errors := largest(on_sequences(weights, tokens, **own, **how)), tolerance)
            if not found[-1]:
                of_heads = of_layers(weights, tokens[:1], **how, dense_tokens=gates.dense_tokens, generator=generator)
                found = verdict(largest(chain(errors.items(), of_heads)), tolerance)
        (gate, quantity, layer), error, failed = found
        yield {
            "bug": bug.name,
            "model": name,
            "family": config["model_type"],
            "expected_gate": bug.gate,
            "caught_by": gate if failed else None,
            "quantity": f"{gate} {quantity}",
            "layer": layer,
            "max_abs_error": error,
            "tolerance": tolerance[gate],
            "passed": (gate if failed else None) == bug.gate,
        }


def definitions_judged(settings: PowerSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return DEFINITION_POWER and DEFINITION_CURVES: make models, score them by every definition, judge these."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(settings.seed)
    plan = Plan(**settings.plan.model_dump(), shortcut=settings.periods[0] - 1)
    of_kinds = settings.models.model_dump()
    recipe, sequences = to_read(settings, generator)
    counts = subsamples(settings.sentences, settings.sizes, settings.draws, generator)
    models = known_models(of_kinds, plan, recipe, sequences.text[: settings.kept_on], generator)
    by_chance = (random(plan, generator) for _ in range(settings.never_trained))
    heads, scores = measured(tqdm(models, "models", sum(of_kinds.values())), sequences, counts, settings.tile)
    _, chance = measured(by_chance, sequences, counts[:1], settings.tile)
    rows = definition_power(
        heads,
        scores,
        chance,
        thresholds(settings),
        Judging(**settings.model_dump(include={field.name for field in fields(Judging)})),
        np.random.default_rng(settings.seed),
    )
    rows = rows.assign(**settings.model_dump(include={"level", "prevalence", "confidence"}))
    return rows, curves(heads, scores, np.linspace(0, 1, settings.curve))


def to_read(settings: PowerSettings, generator: torch.Generator) -> tuple[Recipe, Sequences]:
    """Draw what models are trained on, and what they are measured on."""
    n_ctx, given = settings.plan.n_ctx, settings.text
    chain = text(settings.plan.d_vocab, given.sentences + settings.sentences, n_ctx, given.spread, generator)
    trained_on, read = chain.split([given.sentences, settings.sentences])
    copies = Copies(**given.copies.model_dump())
    tokens = torch.arange(BEGIN + 1, settings.plan.d_vocab)
    periodic = {
        period: periodic_rows(tokens, settings.sentences, n_ctx, period, BEGIN, generator)[0]
        for period in settings.periods
    }
    repeated, _ = with_copies(read, replace(copies, fraction=1.0), BEGIN, generator)
    optimisation = Optimisation(**settings.optimisation.model_dump())
    return Recipe(trained_on, copies, given.batch, optimisation), Sequences(read, repeated, periodic)


def measured(
    models: Iterable[KnownModel], sequences: Sequences, counts: torch.Tensor, tile: int
) -> tuple[pd.DataFrame, dict[Key, np.ndarray]]:
    """Return all heads with what is known of them, a row each, and their scores by every definition, [draw, head].

    A definition that a model does not have, as of positions where it has none, is NaN there.
    """
    heads, parts = [], []
    for number, model in enumerate(models):
        weights = model.weights
        found = protocol_scores(weights, sequences, len(sequences.text), tile)
        parts.append({key: least(scores, counts).flatten(1).numpy() for key, scores in found.items()})
        for head in product(range(weights.n_layers), range(weights.n_heads)):
            known = {function: float(model.plays[head][function]) for function in model.plays.get(head, {})}
            heads.append({"model": number, "kind": model.kind} | known)
    sizes = [next(iter(part.values())).shape for part in parts]
    scores = {
        key: np.hstack([part.get(key, np.full(size, np.nan)) for part, size in zip(parts, sizes, strict=True)])
        for key in dict.fromkeys(key for part in parts for key in part)
    }
    return pd.DataFrame(heads, columns=["model", "kind", *FUNCTIONS]), scores


def thresholds(settings: PowerSettings) -> dict[Name, tuple[float, str]]:
    """Return the threshold of definitions that have one, published or this project's, and which it is."""
    own = {(metric, name): value for metric, of in settings.thresholds.items() for name, value in of.items()}
    published = {name: entry.threshold for name, entry in DEFINITIONS.items() if not math.isnan(entry.threshold)}
    return {name: (value, "project") for name, value in own.items()} | {
        name: (value, "published") for name, value in published.items()
    }


def failed_file(table: Table, outputs: Paths) -> Path:
    """Return where a table goes if something in it is wrong: no output, so that the engine leaves it there."""
    return outputs.file("known_answers.parquet").with_name(f"failed_{table.name}.parquet")


def refuse(table: Table, rows: pd.DataFrame, outputs: Paths, what: str) -> None:
    """Leave a table under another name, and say what is wrong.

    Raises:
        ValueError: always.
    """
    file = failed_file(table, outputs)
    write(replace(table, name=f"failed_{table.name}"), rows, Paths([file], outputs.provenance))
    raise ValueError(f"{what}; all are in {file}")


def wrong_answer(answers: pd.DataFrame) -> str:
    """Return in words the answer that is furthest from what it must be."""
    wrong = answers[~answers["passed"]].sort_values("absolute_error", ascending=False, na_position="first")
    first = wrong.iloc[0]
    where = "the model" if pd.isna(first["layer"]) else f"head {first['layer']}.{first['head']}"
    return (
        f"{len(wrong)} of {len(answers)} known answers are wrong: {first['model']}, {where}, {first['metric']} "
        f"{first['definition']} ({first['eval_set']}): expected {first['expected']:.6g}, measured "
        f"{first['measured']:.6g}"
    )


def wrong_gate(bugs: pd.DataFrame) -> str:
    """Return in words the first bug that its gate does not see, or the first clean model that one stops."""
    first = bugs[~bugs["passed"]].iloc[0].fillna("none")
    return (
        f"{counted(bugs)}: {first['bug']} in {first['model']} must be caught by {first['expected_gate']}, was by "
        f"{first['caught_by']} (error of {first['quantity']} {first['max_abs_error']:.3g}, tolerance "
        f"{first['tolerance']:.3g})"
    )


if __name__ == "__main__":
    main(KnownAnswersSettings, run)
