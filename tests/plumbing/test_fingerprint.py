import pytest

from pipeline.plumbing import fingerprint, freeze, graph
from pipeline.plumbing.fingerprint import code_of


def test_a_stage_knows_its_packages_and_not_those_of_others():
    _, versions = code_of("train")
    assert "torch" in versions
    assert "matplotlib" not in versions
    assert "hydra" not in versions


def test_the_planner_is_no_part_of_any_stage():
    reached = fingerprint._graph().find_upstream_modules("pipeline.extract")
    assert "pipeline.plumbing.artefacts" in reached
    assert not reached & {f"pipeline.plumbing.{name}" for name in ("plan", "planner", "compose", "by_hand", "freeze")}


def test_what_one_stage_declares_is_no_code_of_another():
    reached = fingerprint._graph().find_upstream_modules("pipeline.summarise")
    assert not reached & {"pipeline.settings.score", "pipeline.settings.train"}


def test_a_name_in_another_module_is_found():
    assert fingerprint._named_elsewhere("LAYER", "pipeline.tables.columns")
    assert not fingerprint._named_elsewhere("no_such_name_anywhere", "pipeline.tables.columns")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("pipeline.plumbing.artefacts", "columns missing", "columns that are missing"),
        ("pipeline.plumbing.stage", "study of the experiment", "the experiment's study"),
        ("pipeline.tables.columns", "attention layer, from 0", "layer of attention, from 0"),
        ("pipeline.tables.columns", "what fed this side", "what was fed to this side"),
        ("pipeline.tables.score", "one score of one head", "a score of a head"),
        ("pipeline.claims.catalogue", "There is an induction head", "An induction head is there"),
        ("pipeline.settings.train", "runtime=240", "runtime=300"),
    ],
)
def test_a_reworded_module_is_the_same_code(module, old, new, monkeypatch):
    before, source = fingerprint._code(module), fingerprint._source
    assert old in source(module)
    monkeypatch.setattr(fingerprint, "_source", lambda name: source(name).replace(old, new))
    assert fingerprint._code.__wrapped__(module) == before


def test_a_range_in_a_module_is_its_code(monkeypatch):
    before, source = fingerprint._code("pipeline.tables.columns"), fingerprint._source
    monkeypatch.setattr(fingerprint, "_source", lambda name: source(name).replace('from 0", 0)', 'from 0", 1)'))
    assert fingerprint._code.__wrapped__("pipeline.tables.columns") != before


def test_what_a_page_is_drawn_with_is_code_of_the_stage_that_makes_it_alone(monkeypatch):
    before = {stage: code_of(stage) for stage in ("atlas", "render")}
    monkeypatch.setattr(fingerprint, "PARTS", (".css",))  # as if there were no scripts
    assert code_of.__wrapped__("atlas") != before["atlas"]
    assert code_of.__wrapped__("render") == before["render"]


def test_what_is_known_of_frozen_code_is_worked_out_once(tmp_path, monkeypatch):
    known = {stage: code_of(stage) for stage in graph.STAGES}
    (tmp_path / freeze.LOCK).touch()
    (tmp_path / "pipeline").symlink_to(fingerprint.ROOT / "pipeline")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    fingerprint._kept.cache_clear()
    assert {stage: code_of.__wrapped__(stage) for stage in graph.STAGES} == known
    fingerprint._kept.cache_clear()
    monkeypatch.setattr(fingerprint, "_worked_out", None)  # which would fail
    monkeypatch.setattr(fingerprint, "_release", lambda package: "1" if package == "torch" else None)
    assert code_of.__wrapped__("train") == (known["train"][0], {"torch": "1"})
    fingerprint._kept.cache_clear()
