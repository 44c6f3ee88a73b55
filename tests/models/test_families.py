from dataclasses import fields

import pytest
from tiny_checkpoints import CHECKPOINTS

from pipeline.circuits.transformer.weights import OF_A_LAYER, Weights
from pipeline.models.families import FAMILIES, family_of, lazy_weights, to_weights

TYPES = [model_type for family in FAMILIES for model_type in family.model_types]
TENSORS = {field.name for field in fields(Weights) if "Tensor" in str(field.type) or "Float" in str(field.type)}


def test_a_model_type_belongs_to_one_family():
    assert len(set(TYPES)) == len(TYPES)


def test_every_family_of_the_library_has_a_tiny_checkpoint():
    families = {family.lower() for family, _ in CHECKPOINTS.values()}
    assert {model_type.replace("_", "") for model_type in TYPES} == families | {"attentiononly"}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_types[0])
def test_a_table_names_what_weights_have_each_where_it_belongs(family):
    assert set(family.whole) | set(family.layered) <= TENSORS
    assert {name for name in TENSORS if name.startswith(OF_A_LAYER)} >= set(family.layered)
    assert not any(name.startswith(OF_A_LAYER) for name in family.whole)
    assert set(family.settings) <= {field.name for field in fields(Weights)} - TENSORS
    assert {"positions", "W_E", "W_U", "W_Q", "W_K", "W_V", "W_O"} <= {
        *family.settings,
        *family.whole,
        *family.layered,
    }


def test_an_unknown_family_is_told_the_known_ones():
    known = ", ".join(sorted(TYPES))
    for model_type, needs in (("mamba", "a table"), ("bloom", r"scores that fall with distance \(ALiBi\) in circuits")):
        with pytest.raises(
            ValueError, match=f"'{model_type}' is not a known family; known: {known}; another needs {needs}"
        ):
            family_of({"model_type": model_type})


def test_a_variant_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="is_decoder=True is not supported"):
        lazy_weights({"model_type": "bert", "is_decoder": True}, {}.__getitem__)
    with pytest.raises(ValueError, match="is not a known family"):
        to_weights({}, {}.__getitem__)
