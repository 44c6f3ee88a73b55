"""What a person who sets a stage's settings gets: the settings, or the one line that refuses them."""

import pytest

from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.graph import settings_of
from pipeline.plumbing.planner import check

FROM_THE_PLANNER = {
    "align": {"runs": []},
    "atlas": {"study": "mine", "request": "study=mine", "questions": []},
    "known_answers": {"work": {"runs": [], "jobs": [], "slices": [], "code": {}}},
    "render": {"questions": []},
    "summarise": {"request": "{}", "runs": []},
    "timing": {"runs": []},
}


@pytest.fixture(scope="session")
def usual():
    """Every stage's settings as conf/ has them, and what the planner adds for a study of nothing."""
    composed = compose((), (), "base", 0)
    return lambda stage: composed[stage] | FROM_THE_PLANNER.get(stage, {})


@pytest.fixture
def accepted(usual):
    return lambda stage, **changes: settings_of(stage).parse(usual(stage) | changes)


@pytest.fixture
def refusal(usual):
    def line(stage, **changes):
        with pytest.raises(ConfigError) as error:
            check(stage, usual(stage) | changes, usual(stage))
        assert "\n" not in str(error.value)
        return str(error.value)

    return line
