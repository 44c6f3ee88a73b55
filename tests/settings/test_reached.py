"""Every setting has a value in conf/ or comes from the planner, and somebody reads it."""

import json
import re
from typing import get_args

import pytest
from omegaconf import OmegaConf

from pipeline.plumbing import fingerprint, graph
from pipeline.plumbing.compose import CONF, compose
from pipeline.plumbing.planner import plan
from pipeline.settings.base import Slice

COMPOSED = compose((), (), "base", 0)
PLANNED = plan({"study": "smoke"})


def spec_of(stage):
    if stage in graph.OF_A_STUDY:
        return PLANNED.study_jobs[stage].spec
    return PLANNED.jobs[stage, PLANNED.ids(stage)[0]].spec


def fields(settings):
    """Every field of a settings class and of those within it."""
    for name, field in settings.model_fields.items():
        yield name
        for inner in _within(field.annotation):
            yield from fields(inner)


def _within(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Slice):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _within(part)]


@pytest.mark.parametrize("stage", graph.STAGES)
def test_every_setting_has_a_value_in_conf_or_from_the_planner(stage):
    names = set(graph.settings_of(stage).model_fields)
    given = set(json.loads(spec_of(stage))["settings"])
    assert set(COMPOSED[stage]) <= given == names
    assert stage in graph.OF_A_STUDY or set(COMPOSED[stage]) == names


@pytest.mark.parametrize("stage", graph.STAGES)
def test_every_setting_is_read_by_the_code_of_its_stage(stage):
    reached = {f"pipeline.{stage}"} | fingerprint._graph().find_upstream_modules(f"pipeline.{stage}")
    if stage == "known_answers":  # which calls stages by name
        reached |= {"pipeline.plumbing.in_process"}
    code = "\n".join(fingerprint._code(module) for module in reached if module.startswith("pipeline."))
    # As an attribute; or by its name, as an argument or in quotes, but not where it is declared (`name: type`).
    patterns = (r"\.{}\b", r"[\"'(, ]{}\b(?!:)")
    unread = {
        name
        for name in fields(graph.settings_of(stage))
        if not any(re.search(pattern.format(name), code) for pattern in patterns)
    }
    # The planner reads threads; the code of the stages that known_answers calls is there to make it run again.
    assert unread <= {"threads", *(["code"] if stage == "known_answers" else [])}


def test_every_group_of_conf_is_a_stages_or_shared_by_some():
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert set(graph.STAGES) <= groups
    shared = groups - set(graph.STAGES) - {"study", "experiment"}
    texts = "\n".join(path.read_text() for path in CONF.glob("*/default.yaml"))
    assert {group for group in shared if f"${{{group}}}" not in texts} == set()


def test_what_stands_at_the_head_of_conf_is_read():
    head = set(OmegaConf.load(CONF / "config.yaml")) - {"defaults", "question", "limits", "ask"}  # read by themselves
    texts = "\n".join(path.read_text() for path in CONF.rglob("*.yaml"))
    assert {name for name in head if f"${{{name}}}" not in texts} == set()
