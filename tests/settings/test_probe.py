import pytest
from training_stages import PROBING

from pipeline.settings.probe import ProbeSettings


def test_a_period_that_does_not_fit_twice_is_refused():
    with pytest.raises(ValueError, match="a block of 8 tokens does not fit twice into n_ctx=16; at most 7"):
        ProbeSettings.parse(PROBING | {"periods": [8]})


def test_segments_whose_shortest_is_longer_than_the_longest_are_refused():
    with pytest.raises(ValueError, match="min_length=6 is above max_length=5"):
        ProbeSettings.parse(PROBING | {"min_length": 6})
