import math

import torch
from made_up_rows import options

from pipeline.settings.verify import Tolerance
from pipeline.tables.verify import CHECKS
from pipeline.verify import rows

TOLERANCE = Tolerance(**dict.fromkeys(Tolerance.model_fields, 0.01))


def test_every_check_has_a_name():
    assert options(CHECKS, "check") == set(Tolerance.model_fields)


def test_an_error_passes_up_to_its_tolerance_and_not_if_it_is_no_number(kept, refusal):
    """Three heads of one layer, and logits of the whole model."""
    scores = torch.tensor([0, 0.01, 0.015], dtype=torch.float64)
    worst = {("terms", "scores", 0): scores, ("paths", "logits", None): torch.tensor(math.nan)}
    checks = rows(worst, TOLERANCE).to_dict("records")
    table = kept(CHECKS, *checks)
    assert table["quantity"].tolist() == ["logits", "scores", "scores", "scores"]
    assert table["passed"].tolist() == [False, True, True, False]
    assert table["head"].fillna(-1).tolist() == [-1, 0, 1, 2]
    assert table["max_abs_error"].fillna(-1).tolist() == [-1, 0, 0.01, 0.015]
    assert refusal(CHECKS, checks[0] | {"max_abs_error": -0.5}) == "column max_abs_error: -0.5 is below 0"
    assert "two rows share the key" in refusal(CHECKS, checks[-1], checks[-1])
