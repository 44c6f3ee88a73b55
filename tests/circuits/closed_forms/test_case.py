from dataclasses import replace

import pytest
from constructions import case, construction


def test_the_head_is_that_of_its_layer():
    wired = construction("induction")
    assert [case(wired, layer).wiring for layer in range(2)] == list(wired.wiring)


def test_only_what_repeats_has_a_block():
    periodic = case(construction("copy"), 0, period=5)
    assert periodic.block == 5
    with pytest.raises(ValueError, match="block: these sentences have no period"):
        _ = replace(periodic, period=None).block
