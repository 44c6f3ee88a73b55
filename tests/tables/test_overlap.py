import pytest

from pipeline.tables.overlap import OVERLAPS

PAIR = {"layer": 0, "pair": "query_key", "k": 4, "n": 2, "confidence": 0.95}


def test_a_layer_has_each_kind_of_pair_once(kept, refusal):
    """Two pairs of four tokens each: one shares 2 of 6, one none; the ends of its interval may leave 0 to 1."""
    mean = (2 / 6 + 0) / 2
    shared = PAIR | {"value": mean, "lo": mean - 0.5, "hi": mean + 0.5, "chance": 0.0}
    rows = kept(OVERLAPS, shared | {"layer": 1}, shared | {"pair": "value_output"}, shared)
    assert rows["value"].tolist() == pytest.approx([1 / 6] * 3)
    assert rows["pair"].tolist() == ["query_key", "value_output", "query_key"]
    assert rows["lo"].min() < 0
    assert "two rows share the key" in refusal(OVERLAPS, shared, shared)


@pytest.mark.parametrize("column", ["value", "chance"])
def test_a_share_is_one(refusal, column):
    assert refusal(OVERLAPS, PAIR | {column: 1.5}) == f"column {column}: 1.5 is above 1"


def test_what_is_compared_has_a_name(refusal):
    known = "key_value, query_key, value_output, value_hidden"
    assert refusal(OVERLAPS, PAIR | {"pair": "key_query"}) == f"column pair: 'key_query' is not one of {known}"
