import math

import pandas as pd
import pytest

from pipeline.claims.verdicts import corrected, verdict


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


def test_q_is_over_all_claims_that_have_a_p():
    q = corrected(pd.DataFrame({"p": [0.01, math.nan, 0.04]}))["q"]
    assert q.dropna().to_list() == pytest.approx([0.02, 0.04])
    assert q.isna().to_list() == [False, True, False]
