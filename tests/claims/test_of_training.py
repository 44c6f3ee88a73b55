import math

import pandas as pd
import pytest

from pipeline.claims.of_training import phase_change, previous_token_first


def trained(events, gains):
    """Two sentences; the second gains half as much again as the first on second copies."""
    losses = [
        (step, token_class, sentence, value)
        for step, gain in gains.items()
        for sentence, share in enumerate((0.8, 1.2))
        for token_class, value in (("first_copy", 5.0), ("second_copy", 5.0 - gain * share))
    ]
    losses = pd.DataFrame(losses, columns=["step", "token_class", "sentence", "loss"])
    return {
        "checkpoint_losses": losses.assign(eval_set="repeated_text", period=None, n=3),
        "emergence": pd.DataFrame(events.items(), columns=["event", "step"]).assign(
            checkpoint_before=lambda rows: rows["step"] * 0.5, checkpoint_after=lambda rows: rows["step"] * 2
        ),
    }


def test_all_that_is_gained_in_the_window_of_prefix_matching_is_counted():
    gains = {0: 0.0, 100: 0.0, 400: 1.5, 6399: 2.0}
    finding = phase_change(trained({"prefix_matching": 200.0}, gains), 2.0)
    assert finding.value == pytest.approx(0.75)
    assert finding.chance == pytest.approx(math.log(401 / 101) / math.log(6400))
    assert finding.number.influence.abs().max() == pytest.approx(0)  # both sentences gain the same share
    late = phase_change(trained({"prefix_matching": 6399.0}, gains), 2.0)
    assert late.value == pytest.approx(0.25 * math.log(6400 / 3200.5) / math.log(6400 / 401))
    assert phase_change(trained({"prefix_matching": None}, gains), 2.0) is None


def test_which_came_first_is_told_in_doublings():
    events = {"previous_token": 100.0, "prefix_matching": 800.0}
    finding = previous_token_first(trained(events, {}))
    assert finding.value == pytest.approx(3)
    assert f"error of {math.sqrt((2**2 + 2**2) / 12):.2f} by" in finding.evidence
    assert previous_token_first(trained({"previous_token": 100.0}, {})) is None
