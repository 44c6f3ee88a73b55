import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
def test_an_opt_is_rebuilt(check, save):
    check(save, "opt")


def test_the_first_position_is_the_third_row(save):
    model, weights = saved_weights(save, "opt")
    positions = model.model.decoder.embed_positions
    torch.testing.assert_close(weights.W_pos[:5], positions(torch.ones(1, 5), 0)[0])
    assert len(weights.W_pos) == len(positions.weight) - 2 == model.config.max_position_embeddings


def test_without_biases_there_are_none(save):
    _, weights = saved_weights(save, "opt", shape={"enable_bias": False})
    assert {weights.b_Q, weights.b_O, weights.ff_key_bias, weights.ff_value_bias} == {None}


def test_norms_elsewhere_are_refused(save):
    with pytest.raises(ValueError, match="do_layer_norm_before=False is not supported; only True is"):
        saved_weights(save, "opt", shape={"do_layer_norm_before": False})
