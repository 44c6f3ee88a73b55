import math

from made_up_rows import options

from pipeline.claims.verdicts import verdict
from pipeline.tables.judge.claims import CLAIMS

CLAIM = {"experiment": "base", "claim": "induction", "threshold": 0.5, "n_seeds": 2, "confidence": 0.95}


def test_verdicts_are_those_that_the_rule_gives_and_that_there_is_nothing_to_judge():
    given = {verdict(lo, hi, 0.5, None) for lo, hi in ((0.6, 0.8), (0.2, 0.4), (0.4, 0.6))}
    assert options(CLAIMS, "verdict") == given | {"not applicable", "not measured"}


def test_a_claim_is_judged_once_an_experiment(kept, refusal):
    """Two seeds of 0.7 and 0.9; one of 0.7, which has no interval; none."""
    two = CLAIM | {"value": 0.8, "lo": -0.47, "hi": 2.07, "verdict": "undecided"}
    single = CLAIM | {"experiment": "one_layer", "value": 0.7, "verdict": "undecided", "n_seeds": 1}
    nothing = CLAIM | {"claim": "virtual_heads_matter", "verdict": "not applicable", "n_seeds": 0}
    rows = kept(CLAIMS, single, nothing, two)
    assert rows["claim"].tolist() == ["induction", "virtual_heads_matter", "induction"]
    assert rows["lo"].isna().tolist() == [False, True, True]
    assert math.isnan(rows["value"][1])
    assert "two rows share the key" in refusal(CLAIMS, two, two | {"verdict": "reproduced"})
    assert "'reproduced, wrongly' is not one of" in refusal(CLAIMS, two | {"verdict": "reproduced, wrongly"})
