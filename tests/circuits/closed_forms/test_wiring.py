import pytest
from constructions import PLAIN, construction

from pipeline.circuits.closed_forms.wiring import CIRCUITS, Construction


def test_blocks_lie_side_by_side_and_fill_the_stream():
    wired = construction("copy")
    assert wired.blocks == {
        "token": slice(0, 14),
        "position": slice(14, 26),
        "carried": slice(26, 40),
        "spare": slice(40, 40),
    }
    assert construction("copy", d_model=64).blocks["spare"] == slice(40, 64)


def test_settings_that_say_more_are_picked_from():
    assert Construction.from_dict({"source": "constructed", "circuit": "copy", **PLAIN}) == construction("copy")


def test_heads_share_the_stream_among_them():
    assert construction("copy", n_heads=2).d_head == 20


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_what_a_second_layer_reads_is_what_a_first_one_writes(circuit):
    """A circuit of two layers is one: the second head reads, through queries, keys or values, what the first wrote."""
    wiring = construction(circuit).wiring
    assert len(wiring) in (1, 2)
    if len(wiring) == 2:
        first, second = wiring
        assert [second.query, second.key, second.moves[0]].count(first.moves[1]) == 1
