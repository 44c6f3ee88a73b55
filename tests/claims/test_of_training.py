import math

import numpy as np
import pandas as pd
import pytest

from pipeline.claims.change_points import change_point
from pipeline.claims.crossed import crossed
from pipeline.claims.of_training import phase_change, previous_token_first

STEPS = (0, 50, 100, 200, 400, 800, 1600, 3200, 6399)
RESAMPLED = {"validity_resamples": 400, "seed": 0}


def trained(events, gains, matching=(200, 200)):
    """Two sentences; the second gains half as much again as the first on second copies.

    Of two others, on each of two periods, attention to targets goes from 0 to 1 at the steps `matching`.
    """
    losses = [
        (step, token_class, sentence, value)
        for step, gain in gains.items()
        for sentence, share in enumerate((0.8, 1.2))
        for token_class, value in (("first_copy", 5.0), ("second_copy", 5.0 - gain * share))
    ]
    losses = pd.DataFrame(losses, columns=["step", "token_class", "sentence", "loss"])
    found = [
        (step, period, sentence, float(step >= when))
        for step in STEPS
        for period in (5, 17)
        for sentence, when in enumerate(matching)
    ]
    found = pd.DataFrame(found, columns=["step", "period", "sentence", "value"])
    return {
        "checkpoint_sentences": found.assign(layer=1, head=0, weight=2.0),
        "checkpoint_losses": losses.assign(eval_set="repeated_text", period=None, n=3),
        "emergence": pd.DataFrame(events.items(), columns=["event", "step"]).assign(
            layer=1,
            head=0,
            checkpoint_before=lambda rows: rows["step"] * 0.5,
            checkpoint_after=lambda rows: rows["step"] * 2,
        ),
    }


def test_all_that_is_gained_in_the_window_of_prefix_matching_is_counted():
    gains = {0: 0.0, 100: 0.0, 400: 1.5, 6399: 2.0}
    finding = phase_change(trained({"prefix_matching": 200.0}, gains), 2.0, **RESAMPLED)
    assert finding.value == pytest.approx(0.75)
    assert finding.chance == pytest.approx(math.log(401 / 101) / math.log(6400))
    assert finding.number.influence.abs().max() == pytest.approx(0)  # both sentences gain the same share
    assert finding.number.error == pytest.approx(0)  # and both date it alike
    late = phase_change(trained({"prefix_matching": 6399.0}, gains), 2.0, **RESAMPLED)
    assert late.value == pytest.approx(0.25 * math.log(6400 / 3200.5) / math.log(6400 / 401))
    assert phase_change(trained({"prefix_matching": None}, gains), 2.0, **RESAMPLED) is None


def test_which_came_first_is_told_in_doublings():
    events = {"previous_token": 100.0, "prefix_matching": 800.0}
    finding = previous_token_first(trained(events, {}))
    assert finding.value == pytest.approx(3)
    assert f"error of {math.sqrt((2**2 + 2**2) / 12):.2f} by" in finding.evidence
    assert previous_token_first(trained({"previous_token": 100.0}, {})) is None


def test_the_sentences_that_date_prefix_matching_make_the_share_unsure():
    """One says 200, one 1600: of resamples a quarter has either alone, and half of them both."""
    gains = dict(zip(STEPS, (0.0, 0.0, 0.0, 0.5, 1.0, 1.2, 1.5, 1.9, 2.0), strict=True))

    def share(*matching):
        run = trained({"prefix_matching": 500.0}, gains, matching)
        seen = run["checkpoint_sentences"]
        curve = seen[seen["period"] == 5].groupby("step")["value"].mean()
        when = change_point(curve.index.to_numpy(), curve.to_numpy(), 0.95, 5).step
        return phase_change(trained({"prefix_matching": when}, gains), 2.0, **RESAMPLED).value

    found = phase_change(trained({"prefix_matching": 500.0}, gains, (200, 1600)), 2.0, **RESAMPLED)
    early, both, late = share(200, 200), share(200, 1600), share(1600, 1600)
    assert found.number.error == pytest.approx(np.std([early, both, both, late]), rel=0.1)
    assert crossed([found.number] * 8).half_width(0.95) > 1.9 * found.number.error
