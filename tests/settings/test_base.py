import pytest

from pipeline.settings.base import Bootstrap


@pytest.mark.parametrize(("confidence", "fewest"), [(0.95, 40), (0.9, 20), (0.99, 200)])
def test_some_resample_must_lie_beyond_the_ends_of_an_interval(confidence, fewest):
    assert Bootstrap.parse({"confidence": confidence, "resamples": fewest}).resamples == fewest
    with pytest.raises(ValueError, match=f"draw {fewest} or more"):
        Bootstrap.parse({"confidence": confidence, "resamples": fewest - 1})
