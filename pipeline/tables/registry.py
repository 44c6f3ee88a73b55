"""Every declared table by its name, and which stage makes which for readers."""

from pipeline.plumbing import graph
from pipeline.plumbing.schema import Table
from pipeline.tables import (
    ablate,
    align,
    benchmark,
    challenge,
    cover,
    decompose,
    extract,
    known_answers,
    manifest,
    overlap,
    prepare,
    probe,
    project,
    scaling,
    score,
    score_checkpoints,
    summarise,
    timing,
    train,
    verify,
)
from pipeline.tables.judge import claims, effects, emergence, head_matches, head_roles, validity

MODULES = (
    *(prepare, probe, train, extract, verify, decompose, project, score, ablate, cover),
    *(score_checkpoints, challenge, overlap),
    *(align, summarise, claims, effects, emergence, head_matches, head_roles, validity, manifest),
    *(known_answers, timing, benchmark, scaling),
)
TABLES: dict[str, Table] = {
    value.name: value for module in MODULES for value in vars(module).values() if isinstance(value, Table)
}
OF_A_RUN: dict[str, tuple[Table, ...]] = {
    stage: tuple(TABLES[name] for name in graph.tables_of(stage)) for stage in graph.OF_A_RUN if graph.tables_of(stage)
}
OF_JUDGE: tuple[Table, ...] = tuple(TABLES[name] for name in graph.tables_of("judge"))
