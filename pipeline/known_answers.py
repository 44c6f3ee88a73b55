"""Measure networks wired by hand with the stages that measure any other, and hold the scores against what must be.

If an answer is wrong, the table is failed_known_answers instead, and the study stops.
"""

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from pipeline.circuits.closed_forms.expected import UNDEFINED, Expected
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.circuits.definitions.expectations import of_random, of_wired
from pipeline.claims.known_answers import KEY, judged, keyed, of_losses, of_scores
from pipeline.figures.known_answers import known_answers
from pipeline.figures.style import save
from pipeline.frames.tensors import sequences_of, sets_of
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, atomic, read, read_parts, write
from pipeline.plumbing.in_process import run_jobs
from pipeline.plumbing.stage import main
from pipeline.settings.known_answers import KnownAnswersSettings, PlannedRun
from pipeline.tables.ablate import ABLATIONS, EDGES, TERM_ORDERS
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.known_answers import KNOWN_ANSWERS
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
    failed_file(outputs).unlink(missing_ok=True)
    run_jobs(settings.work, folder, outputs.provenance, settings.threads)
    answers = pd.concat([answers_of(settings, run, folder) for run in settings.work.runs])
    if not answers["passed"].all():
        refuse(answers, outputs)
    write(KNOWN_ANSWERS, answers, outputs)
    figure = known_answers(answers)
    for suffix in ("svg", "png"):
        with atomic(outputs.file(f"known_answers.{suffix}")) as temporary:
            save(figure, temporary, suffix, settings.dpi)


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
    rows = judged(rows, tolerance, rows["reason"] == UNDEFINED)
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
    """Return a value, or the reason why there is none, in columns of their own."""
    known = not isinstance(expected, str)
    return {"expected": float(expected) if known else float("nan"), "reason": None if known else expected}


def failed_file(outputs: Paths) -> Path:
    """Return where answers go if one is wrong: no output, so that the engine leaves it there."""
    return outputs.file("known_answers.parquet").with_name("failed_known_answers.parquet")


def refuse(answers: pd.DataFrame, outputs: Paths) -> None:
    """Leave the table under another name, and say what is wrong.

    Raises:
        ValueError: always.
    """
    file = failed_file(outputs)
    write(replace(KNOWN_ANSWERS, name="failed_known_answers"), answers, Paths([file], outputs.provenance))
    wrong = answers[~answers["passed"]].sort_values("absolute_error", ascending=False, na_position="first")
    first = wrong.iloc[0]
    where = "the model" if pd.isna(first["layer"]) else f"head {first['layer']}.{first['head']}"
    raise ValueError(
        f"{len(wrong)} of {len(answers)} known answers are wrong: {first['model']}, {where}, {first['metric']} "
        f"{first['definition']} ({first['eval_set']}): expected {first['expected']:.6g}, measured "
        f"{first['measured']:.6g}; all are in {file}"
    )


if __name__ == "__main__":
    main(KnownAnswersSettings, run)
