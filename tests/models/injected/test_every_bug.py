"""The table of bugs as a whole; that each is caught is what tests/test_known_answers.py runs."""

from collections import Counter

import pytest

from pipeline.models.families import FAMILIES
from pipeline.models.injected import BUGS
from pipeline.models.tiny import NAMES
from pipeline.tables.verify import GATES


def test_bugs_are_many_and_have_names_of_their_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) > 30


def test_every_gate_is_the_first_to_catch_some_bug():
    assert {bug.gate for bug in BUGS} == set(GATES)


def test_every_model_is_wrong_in_some_way():
    named = Counter(name for bug in BUGS for name in bug.models)
    assert set(named) == set(NAMES) - {"llama_wide_heads"}  # which differs by a shape that no bug is about


@pytest.mark.parametrize("model_type", [model_type for family in FAMILIES for model_type in family.model_types])
def test_every_family_has_thirty_bugs(model_type, checkpoints):
    models = {name for name, (config, _) in checkpoints.items() if config["model_type"] == model_type}
    assert sum(bool(models & set(bug.models)) for bug in BUGS) >= 30
