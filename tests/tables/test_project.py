from itertools import product
from typing import get_args

import pytest
from made_up_rows import options

from pipeline.settings.project import ProjectSettings
from pipeline.tables.project import DISTANCE_SCORES, SPECTRA, VOCAB_COUNTS, VOCAB_PAIRS, VOCAB_UNITS

LIST = {"layer": 0, "head": 0, "circuit": "OV"}


def test_a_list_is_read_from_its_strongest_pair(kept, refusal):
    """The circuit [[1, 3], [-2, 0]]: its two largest entries, and its smallest."""
    found = [("top", 0, 0, 1, 3.0), ("top", 1, 0, 0, 1.0), ("bottom", 0, 1, 0, -2.0)]
    names = ("end", "rank", "row_id", "column_id", "value")
    pairs = [LIST | dict(zip(names, pair, strict=True)) for pair in found]
    rows = kept(VOCAB_PAIRS, *pairs[::-1])
    assert rows[["end", "value"]].to_numpy().tolist() == [["bottom", -2], ["top", 3], ["top", 1]]
    assert "two rows share the key" in refusal(VOCAB_PAIRS, pairs[0], pairs[0] | {"row_id": 1})
    # Token 0 stands twice on the rows' side of the top list, and once on the columns'.
    sides = [("column", 0, 1), ("column", 1, 1), ("row", 0, 2)]
    counts = [LIST | {"end": "top", "side": side, "token_id": token, "count": n} for side, token, n in sides]
    counted = kept(VOCAB_COUNTS, *counts)
    assert counted.groupby("side")["count"].sum().to_dict() == {"column": 2, "row": 2}
    assert refusal(VOCAB_COUNTS, counts[0] | {"count": 0}) == "column count: 0 is below 1"


def test_every_side_of_every_circuit_has_its_directions_and_every_matrix_its_dimensions():
    of_circuits = {"_SVD_".join(pair) for pair in product(options(SPECTRA, "circuit"), ("left", "right"))}
    of_heads, of_neurons = {"W_Q", "W_K", "W_V", "W_O"}, {"FF_key", "FF_value"}
    assert options(VOCAB_UNITS, "matrix") == of_circuits | of_heads | of_neurons
    assert options(VOCAB_PAIRS, "circuit") == options(VOCAB_COUNTS, "circuit") == options(SPECTRA, "circuit")


@pytest.mark.parametrize("name", ["normaliser", "ln_mode"])
def test_how_a_list_was_made_is_what_could_be_asked_for(name):
    assert options(VOCAB_PAIRS, name) == set(get_args(ProjectSettings.model_fields[name].annotation))
    one, _ = get_args(ProjectSettings.model_fields["emb_modes"].annotation)
    assert options(VOCAB_PAIRS, "emb_mode") == set(get_args(one))


def test_a_list_may_be_of_one_embedding_and_one_distance(kept, refusal):
    pair = LIST | {"circuit": "QK", "end": "top", "rank": 0}
    lists = [pair | {"emb_mode": mode, "distance": n} for mode in ("embedding", "after_mlp0") for n in (0, 1)]
    rows = kept(VOCAB_PAIRS, *lists, pair | {"circuit": "OV", "emb_mode": "embedding"})
    assert rows["distance"].isna().tolist() == [True, False, False, False, False]
    assert "two rows share the key" in refusal(VOCAB_PAIRS, *lists, lists[0])
    parts = {"layer": 0, "head": 0, "distance": 1, "position_part": -2.0, "content_part": 0.5}
    assert len(kept(DISTANCE_SCORES, parts, parts | {"distance": 0})) == 2
    assert refusal(DISTANCE_SCORES, parts | {"content_part": -0.5}) == "column content_part: -0.5 is below 0"


def test_neurons_are_of_no_head(kept, refusal):
    neuron = {"layer": 0, "matrix": "FF_key", "unit": 3, "end": "top", "rank": 0, "token_id": 5, "value": 0.5}
    rows = kept(VOCAB_UNITS, neuron | {"head": 1, "matrix": "W_Q"}, neuron)
    assert rows["head"].isna().tolist() == [True, False]
    assert len(kept(VOCAB_UNITS, neuron, neuron | {"rank": 1})) == 2
    assert "two rows share the key" in refusal(VOCAB_UNITS, neuron, neuron | {"token_id": 6})


def test_a_rotation_has_equal_singular_values_and_no_gap(kept, refusal):
    """[[0, -2], [2, 0]] has the eigenvalues 2i and -2i, and twice the singular value 2."""
    values = [LIST | {"index": n, "imaginary": sign, "singular_value": 2.0} for n, sign in ((1, -2.0), (0, 2.0))]
    rows = kept(SPECTRA, values[0], values[1] | {"gap": 0.0})
    assert rows["imaginary"].tolist() == [2, -2]
    assert rows["gap"].isna().tolist() == [False, True]  # after the last there is no next
    assert refusal(SPECTRA, values[0] | {"singular_value": -2.0}) == "column singular_value: -2.0 is below 0"
    assert refusal(SPECTRA, values[0] | {"gap": 1.5}) == "column gap: 1.5 is above 1"
