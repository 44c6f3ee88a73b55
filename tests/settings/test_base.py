import pytest
from pydantic import ValidationError

from pipeline.settings.base import Bootstrap, LayerPairs, Slice


class Pairs(Slice):
    layer_pairs: LayerPairs


def test_values_are_as_json_has_them():
    assert Pairs.parse({"layer_pairs": [[0, 1], [0, 2]]}).layer_pairs == ((0, 1), (0, 2))
    with pytest.raises(ValidationError):
        Pairs.parse({"layer_pairs": [["0", 1]]})


@pytest.mark.parametrize("pair", [[1, 0], [1, 1], [-1, 0]])
def test_the_earlier_layer_stands_first(pair):
    with pytest.raises(ValidationError, match="put the earlier first"):
        Pairs.parse({"layer_pairs": [pair]})


def test_a_slice_knows_no_other_settings_and_does_not_change():
    with pytest.raises(ValidationError):
        Pairs.parse({"layer_pairs": [], "more": 1})
    with pytest.raises(ValidationError):
        Pairs.parse({"layer_pairs": []}).layer_pairs = ()


def test_most_slices_name_no_files():
    assert Pairs.parse({"layer_pairs": []}).files() == []


@pytest.mark.parametrize(("confidence", "fewest"), [(0.95, 40), (0.9, 20), (0.99, 200)])
def test_some_resample_must_lie_beyond_the_ends_of_an_interval(confidence, fewest):
    values = {"threads": 1, "confidence": confidence}
    assert Bootstrap.parse(values | {"resamples": fewest}).resamples == fewest
    with pytest.raises(ValueError, match=f"draw {fewest} or more"):
        Bootstrap.parse(values | {"resamples": fewest - 1})
