"""The declarations of all stages, held against tables, stages' code and each other."""

import ast
import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import pipeline.tables
from pipeline.plumbing import graph
from pipeline.plumbing.schema import Table
from pipeline.settings.stage import EVERY, Stage
from pipeline.tables.registry import TABLES

PIPELINE = Path(pipeline.__file__).parent
PLAIN_FILES = {
    "tokenizer.json",
    "config.json",
    "model.safetensors",
    "checkpoints.safetensors",
    "request.json",
    "atlas.html",
}
DECLARED = {
    value.name
    for module in pkgutil.walk_packages(pipeline.tables.__path__, "pipeline.tables.")
    for value in vars(importlib.import_module(module.name)).values()
    if isinstance(value, Table)
}


def test_every_name_is_a_declared_table_or_a_known_file():
    written = {name for stage in graph.STAGES.values() for name in (*stage.tables, *stage.files)} - {EVERY}
    assert written == DECLARED | PLAIN_FILES


def test_every_declared_table_is_in_the_registry():
    assert set(TABLES) == DECLARED


def test_every_table_is_written_by_one_stage():
    writers = Counter(name for stage in graph.STAGES.values() for name in (*stage.tables, *stage.files))
    # A model folder holds the tokenizer it was trained with.
    assert {name for name, stages in writers.items() if stages > 1} == {"tokenizer.json"}


@pytest.mark.parametrize("stage", graph.STAGES)
def test_a_stage_reads_what_the_stages_before_it_write(stage):
    for maker, files in graph.reads_of(stage).items():
        assert set(files) <= set(graph.writes_of(maker)), maker


def test_what_is_not_for_readers_is_read_by_a_later_stage():
    read = {(maker, file) for stage in graph.STAGES for maker, files in graph.reads_of(stage).items() for file in files}
    handed_on = {(maker, graph.file_of(name)) for maker, stage in graph.STAGES.items() for name in stage.files} - {
        ("summarise", "request.json"),
        ("train", "tokenizer.json"),
        ("atlas", "atlas.html"),
    }  # for the next request; for people
    assert handed_on <= read


@pytest.mark.parametrize("stage", graph.STAGES)
def test_a_stage_of_a_model_is_gated_by_its_verification(stage):
    reads = graph.STAGES[stage].reads
    of_a_model = {"train", "extract"} & set(reads)
    assert graph.STAGES[stage].gated == (bool(of_a_model) and stage not in ("extract", graph.GATE))
    if of_a_model and stage not in ("extract", graph.GATE):
        assert "checks.parquet" in graph.reads_of(stage)[graph.GATE]


@pytest.mark.parametrize("stage", graph.STAGES)
def test_every_stage_is_a_module_and_its_settings_have_its_name(stage):
    assert (PIPELINE / f"{stage}.py").exists()
    assert graph.settings_of(stage).__name__.lower() == f"{stage}settings".replace("_", "")


def test_every_module_that_runs_as_a_stage_is_declared():
    modules = {path.stem for path in PIPELINE.glob("*.py") if "plumbing.stage import main" in path.read_text()}
    assert modules == set(graph.STAGES)


@pytest.mark.parametrize("stage", graph.OF_A_RUN)
def test_a_stage_imports_the_tables_that_it_declares_to_read(stage):
    tree = ast.parse((PIPELINE / f"{stage}.py").read_text())
    imported = {
        getattr(importlib.import_module(node.module), alias.name).name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("pipeline.tables.")
        for alias in node.names
        if isinstance(getattr(importlib.import_module(node.module), alias.name), Table)
    }
    read = {name for names in graph.STAGES[stage].reads.values() for name in names if name in DECLARED}
    assert imported - set(graph.STAGES[stage].tables) - set(graph.STAGES[stage].files) == read


def test_a_stage_comes_after_those_it_reads_of():
    order = list(graph.STAGES)
    for stage, declared in graph.STAGES.items():
        for maker in graph.upstream_of(declared):
            assert order.index(maker) < order.index(stage)


def test_stages_that_read_of_each_other_are_refused():
    with pytest.raises(ValueError, match="first, second read of each other"):
        graph.in_order(
            {"first": Stage("run", reads={"second": ("x",)}), "second": Stage("run", reads={"first": ("y",)})}
        )


def test_the_study_holds_the_tables_of_all_its_runs():
    assert {"corpus.parquet", "checks.parquet", "head_scores.parquet", "runs.parquet"} <= set(
        graph.writes_of("summarise")
    )
    # Of a stage without tables for readers, one file says how it was set.
    assert graph.reads_of("summarise")["extract"] == ["weights.parquet"]


def test_the_record_beside_a_file_that_is_no_table_goes_with_it():
    assert graph.writes_of("extract") == ["weights.parquet"]
    written, read = graph.writes_of("train"), graph.reads_of("verify")["train"]
    assert read == ["config.json", "model.safetensors", "config.json.made.json", "model.safetensors.made.json"]
    assert set(read) <= set(written)
    assert ".made.json" not in graph.told("train")
