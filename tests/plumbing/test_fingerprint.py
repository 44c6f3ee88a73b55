from pipeline.plumbing import fingerprint
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
