import math

import pytest

from pipeline.claims.verdicts import verdict


@pytest.mark.parametrize(
    ("lo", "hi", "chance", "expected"),
    [
        (0.5, 0.9, None, "reproduced"),
        (0.1, 0.49, None, "not reproduced"),
        (0.4, 0.6, None, "undecided"),
        (0.5, 0.9, 0.2, "reproduced"),
        (0.5, 0.9, 0.6, "undecided"),
        (0.5, 0.9, 0.9, "not reproduced"),
        (math.nan, math.nan, 0.0, "undecided"),
    ],
)
def test_verdict_follows_from_the_interval(lo, hi, chance, expected):
    assert verdict(lo, hi, threshold=0.5, chance=chance) == expected
