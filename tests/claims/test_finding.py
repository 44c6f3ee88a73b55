from dataclasses import FrozenInstanceError

import pandas as pd
import pytest

from pipeline.claims.crossed import Number
from pipeline.claims.finding import Finding, NotMeasured
from pipeline.claims.of_losses import second_copy_gain


def test_what_was_found_stays():
    finding = Finding(Number(0.9), "0.1: 0.9")
    with pytest.raises(FrozenInstanceError):
        finding.chance = 1.0
    assert (finding.value, finding.chance) == (0.9, None)  # chance is not known unless it is told
    assert not finding.exact  # nor that nothing was drawn
    with pytest.raises(FrozenInstanceError):
        NotMeasured("no such head").reason = "none"


def test_a_measure_finds_a_number_its_chance_and_words_for_it():
    """First copies: two tokens of 3 nats and one of 6, 4 on average; second copies 1."""
    rows = [("first_copy", 3.0, 2, 0), ("first_copy", 6.0, 1, 1), ("second_copy", 1.0, 3, 0)]
    losses = pd.DataFrame(rows, columns=["token_class", "loss", "n", "sentence"]).assign(part=0, parts=1)
    finding = second_copy_gain({"sentence_losses": losses.assign(eval_set="repeated_text")})
    assert (finding.value, finding.evidence, finding.chance) == (3.0, "4.00 nats on first copies, 1.00 on second", 0.0)
