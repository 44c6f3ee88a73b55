from dataclasses import replace

import pytest
import torch

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.lens import lens_of
from pipeline.circuits.vocabulary.token_filters import Filters

TEXTS = ["walk", "café", " walk", "--"]


def network():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(2, 1, 3, 2) for name in ("W_Q", "W_K", "W_V")}
    return Weights("residual", random(4, 3), random(3, 4), W_O=random(2, 1, 2, 3), W_pos=random(2, 3), **tall)


def normed():
    ones = {"ln1_gain": 2 * torch.ones(2, 3), "ln2_gain": torch.ones(2, 3), "ln_final_gain": torch.ones(3)}
    ones |= {name.replace("gain", "bias"): torch.zeros_like(value) for name, value in ones.items()}
    feed_forward = {"ff_keys": torch.eye(3).expand(2, 3, 3), "ff_values": torch.eye(3).expand(2, 3, 3)}
    return replace(network(), **ones, **feed_forward, activation="relu")


def test_positions_follow_tokens_pass_token_filters_and_equal_only_themselves():
    model = network()
    lens = lens_of(model, TEXTS, "raw", "embedding", True, Filters(["only_ascii", "exclude_same"], 3, 4))
    assert torch.equal(lens.weights.W_E, torch.cat([model.W_E, model.W_pos]))
    assert (lens.n_tokens, lens.n_positions) == (4, 2)
    assert lens.mask.tolist() == [True, False, True, True, True, True]
    rows, columns = torch.tensor([[0, 2], [4, 4], [4, 5], [3, 4]]).T
    assert lens.allowed(rows, columns).tolist() == [False, False, True, True]
    plain = lens_of(model, TEXTS, "raw", "embedding", False, Filters([], 3, 4))
    assert plain.weights.W_E is model.W_E
    assert (plain.n_positions, plain.allowed) == (0, None)


def test_what_the_model_lacks_is_not_applied_and_not_claimed():
    lens = lens_of(network(), TEXTS, "folded_centred", "after_mlp0", False, Filters([], 3, 4))
    assert (lens.ln_mode, lens.emb_mode) == ("raw", "embedding")
    torch.testing.assert_close(lens.weights.W_Q, network().W_Q)


def test_norms_and_embedding_are_read_as_asked():
    model = normed()
    lens = lens_of(model, TEXTS, "folded", "after_mlp0", False, Filters([], 3, 4))
    assert (lens.ln_mode, lens.emb_mode) == ("folded", "after_mlp0")
    torch.testing.assert_close(lens.weights.W_V, 2 * model.W_V)
    centred = model.W_E - model.W_E.mean(1, keepdim=True)
    unit = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    # The raw gains belong in the feed-forward part: 1, not those of the folded matrices.
    torch.testing.assert_close(lens.weights.W_E, model.W_E + unit.relu())


def test_a_vocabulary_of_another_size_is_refused():
    with pytest.raises(ValueError, match="names 3 tokens, the embedding has 4 rows"):
        lens_of(network(), TEXTS[:3], "raw", "embedding", False, Filters([], 3, 4))
