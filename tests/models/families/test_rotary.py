import math

import pytest
import torch

from pipeline.models.families.rotary import rotary_frequencies

CONFIG = {"hidden_size": 24, "num_attention_heads": 4, "head_dim": None}
LONGER = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def frequencies(**rope):
    return rotary_frequencies(CONFIG | {"rope_parameters": {"rope_theta": 8.0} | rope})


def test_each_pair_turns_slower_by_the_same_ratio():
    torch.testing.assert_close(frequencies(), torch.tensor([1.0, 1 / 2, 1 / 4]))  # 8 to the power of -0, -1/3, -2/3


def test_a_width_of_heads_that_is_given_is_taken():
    wide = rotary_frequencies(CONFIG | {"head_dim": 2, "rope_parameters": {"rope_theta": 8.0}})
    torch.testing.assert_close(wide, torch.tensor([1.0]))


def test_partial_positions_turn_fewer_pairs():
    torch.testing.assert_close(frequencies(partial_rotary_factor=0.67), torch.tensor([1.0, 8**-0.5]))


def test_linear_scaling_slows_every_pair_alike():
    torch.testing.assert_close(frequencies(rope_type="linear", factor=4.0), torch.tensor([1 / 4, 1 / 8, 1 / 16]))


def test_llama3_scaling_slows_slow_pairs_and_leaves_fast_ones():
    # In a context of 4 pi the pairs turn 2, 1 and 1/2 times: at and above 2 as usual, at and below 1 four times slower.
    scaling = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0}
    slowed = frequencies(**scaling, original_max_position_embeddings=4 * math.pi)
    torch.testing.assert_close(slowed, torch.tensor([1.0, 1 / 8, 1 / 16]))
    # In one of 3 pi, the first turns 1.5 times: half as usual, half slowed.
    between = frequencies(**scaling, original_max_position_embeddings=3 * math.pi)
    torch.testing.assert_close(between, torch.tensor([(1 + 1 / 4) / 2, 1 / 8, 1 / 16]))


def test_positions_of_no_known_kind_are_refused():
    with pytest.raises(ValueError, match="'yarn' are not known; known: default, linear, llama3"):
        frequencies(rope_type="yarn", factor=2.0)


@pytest.mark.parametrize("theta", [1e4, 25e3, 5e5])
@pytest.mark.parametrize("scaling", [{}, {"rope_type": "linear", "factor": 3.0}, LONGER])
def test_they_are_the_librarys_to_the_last_digit(scaling, theta):
    """Over a thousand positions, one digit more or less is a part in ten million of a turn."""
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    rope = {"rope_type": "default", "rope_theta": theta} | scaling
    config = LlamaConfig(hidden_size=192, num_attention_heads=2, rope_parameters=rope)
    assert torch.equal(rotary_frequencies(config.to_dict()), LlamaRotaryEmbedding(config).inv_freq)
