"""A person's mistake: one line that says what to set, and a command that fails."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError, model_validator

from pipeline.plumbing.errors import explain, nearest
from pipeline.settings.base import Slice

ROOT = Path(__file__).resolve().parents[2]


class Copies(Slice):
    least: int
    most: int


class Cat(Slice):
    kind: str
    lives: int


class Made(Slice):
    """A slice with a number, a group of its own, a shared group and a rule."""

    steps: int
    copies: Copies
    model: Cat

    @model_validator(mode="after")
    def _enough(self):
        if self.steps == 13:
            raise ValueError("steps: 13 is bad luck")
        if self.steps == 14:
            raise ValueError("model.lives=9 needs other steps")
        return self


USUAL = {"steps": 5, "copies": {"least": 1, "most": 2}, "model": {"kind": "cat", "lives": 9}}


def told(**changes):
    settings = USUAL | changes
    settings = {name: value for name, value in settings.items() if value is not None}
    with pytest.raises(ValidationError) as error:
        Made.parse(settings)
    return explain("train", settings, USUAL, error.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"stepz": 3}, "train.stepz: no such setting", id="unknown"),
        pytest.param({"steps": None}, "train.steps: not set; give it a value in conf/ or in overrides", id="missing"),
        pytest.param({"steps": "ten"}, "train.steps=ten: input should be a valid integer; conf/ has 5", id="type"),
        pytest.param(
            {"copies": {"least": 1, "most": "few"}},
            "train.copies.most=few: input should be a valid integer; conf/ has 2",
            id="inside a group of its own",
        ),
        pytest.param(
            {"model": {"kind": "cat", "lives": "many"}},
            "model.lives=many: input should be a valid integer; conf/ has 9",
            id="inside a shared group, which is set without the stage's name",
        ),
        pytest.param({"steps": 13}, "train: steps: 13 is bad luck", id="a rule"),
        pytest.param({"steps": 14}, "model.lives=9 needs other steps", id="a rule that names its key"),
    ],
)
def test_a_refused_slice_is_one_line_in_the_words_of_conf(changes, line):
    assert told(**changes) == line


def test_the_first_of_several_mistakes_is_told():
    assert told(steps="ten", copies={"least": "x", "most": "y"}).startswith("train.steps=ten: ")


def test_what_conf_itself_has_is_not_offered():
    usual = USUAL | {"steps": "ten"}
    with pytest.raises(ValidationError) as error:
        Made.parse(usual)
    assert explain("train", usual, usual, error.value) == "train.steps=ten: input should be a valid integer"


@pytest.mark.parametrize(
    ("wrong", "right", "hint"),
    [
        ("stduy", ["study", "seeds"], "; did you mean study?"),
        ("learning_rate", ["train.learning_rate", "train.steps"], "; did you mean train.learning_rate?"),
        ("dpi", ["benchmark.repeats_of_all", "render.dpi"], "; did you mean render.dpi?"),  # the end, unlike as a whole
        ("xyz", ["seeds", "name"], "; there are name, seeds"),
        ("xyz", [], ""),
        ("xyz", [f"a{number}" for number in range(20)], f"; there are {', '.join(sorted(f'a{n}' for n in range(20)))}"),
        ("xyz", [f"a{number}" for number in range(21)], ""),
    ],
)
def test_the_nearest_is_offered_or_all_if_they_are_few(wrong, right, hint):
    assert nearest(wrong, right) == hint


def test_a_command_with_a_mistake_says_one_line_and_fails():
    command = [sys.executable, "-m", "pipeline.extract", "--study", "smoke", "extract.thread=2"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == "extract: extract.thread=2: no such setting; did you mean extract.threads?\n"
