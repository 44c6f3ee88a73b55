import pytest
from training_stages import PROBING

from pipeline.plumbing.compose import CONF, compose
from pipeline.settings.probe import ProbeSettings


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_training_copied_nothing_at_the_periods_that_are_probed(experiment):
    settings = compose((), (), experiment, 0)
    assert set(settings["probe"]["periods"]) <= set(settings["train"]["copies"]["heldout_distances"])


def test_a_period_that_does_not_fit_twice_is_refused():
    with pytest.raises(ValueError, match="a block of 8 tokens does not fit twice into n_ctx=16; at most 7"):
        ProbeSettings.parse(PROBING | {"periods": [8]})


@pytest.mark.parametrize("name", ["loss_sentences", "loss_copies"])
def test_losses_are_measured_on_no_fewer_sentences_than_all_else(name):
    with pytest.raises(ValueError, match=f"{name}=4 is below sentences=5, .*; raise {name}"):
        ProbeSettings.parse(PROBING | {name: 4})


def test_segments_whose_shortest_is_longer_than_the_longest_are_refused():
    with pytest.raises(ValueError, match="min_length=6 is above max_length=5"):
        ProbeSettings.parse(PROBING | {"min_length": 6})
