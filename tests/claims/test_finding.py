from dataclasses import FrozenInstanceError

import pandas as pd
import pytest

from pipeline.claims.finding import Finding
from pipeline.claims.of_losses import second_copy_gain


def test_what_was_found_stays():
    finding = Finding(0.9, "0.1: 0.9")
    with pytest.raises(FrozenInstanceError):
        finding.value = 1.0
    assert finding == Finding(0.9, "0.1: 0.9", None)  # chance is not known unless it is told
    assert finding != Finding(0.9, "0.1: 0.9", 0.0)


def test_a_measure_finds_a_number_its_chance_and_words_for_it():
    """First copies: two tokens of 3 nats and one of 6, 4 on average; second copies 1."""
    rows = [("first_copy", 3.0, 2), ("first_copy", 6.0, 1), ("second_copy", 1.0, 3)]
    losses = pd.DataFrame(rows, columns=["token_class", "loss", "n"]).assign(eval_set="repeated_text")
    expected = Finding(3.0, "4.00 nats on first copies, 1.00 on second", 0.0)
    assert second_copy_gain({"loss_by_position": losses}) == expected
