import pytest

from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.needs import limits_of


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"days": 0}, "days=0"),
        ({"runs": 0.5}, "runs=0.5"),
        ({"characters": 5000}, "characters=5000"),
    ],
)
def test_a_limit_is_a_number_above_none(changed, told):
    usual = compose((), (), "base", 0)
    assert limits_of(usual, usual).model_dump() == usual["limits"]
    with pytest.raises(ConfigError, match=told):
        limits_of({"limits": usual["limits"] | changed}, usual)
