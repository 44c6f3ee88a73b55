from dataclasses import replace

import pytest
import torch

from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import (
    effective_embedding,
    gains_folded,
    ov_circuit,
    qk_circuit,
    through_two,
)


def random_weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(2, 2, 6, 3) for name in ("W_Q", "W_K", "W_V")}
    norms = {"ln1_gain": random(2, 6), "ln1_bias": random(2, 6), "ln_final_gain": random(6), "ln_final_bias": random(6)}
    return Weights("none", random(5, 6), random(6, 5), W_O=random(2, 2, 3, 6), **tall, **norms)


W = random_weights()
FIRST, SECOND = (0, 1), (1, 0)
OV1, OV2 = (W.W_V[head] @ W.W_O[head] for head in (FIRST, SECOND))
QK2 = W.W_Q[SECOND] @ W.W_K[SECOND].mT
PAIR = list(through_two(W, 0, 1))[2]  # heads 1 and 0


@pytest.mark.parametrize(
    ("factors", "dense"),
    [
        pytest.param(ov_circuit(W, FIRST), W.W_E @ OV1 @ W.W_U, id="OV"),
        pytest.param(qk_circuit(W, SECOND), W.W_E @ QK2 @ W.W_E.mT, id="QK"),
        pytest.param(PAIR["K_circuit"], W.W_E @ QK2 @ (W.W_E @ OV1).mT, id="K circuit"),
        pytest.param(PAIR["virtual"], W.W_E @ OV1 @ OV2 @ W.W_U, id="virtual OV"),
    ],
)
def test_factors_make_the_dense_circuit(factors, dense):
    rows, columns = factors
    assert rows.shape == columns.shape == (5, 3)
    torch.testing.assert_close(rows @ columns.mT, dense)


def test_folded_gains_act_as_layer_norm_would():
    folded = gains_folded(W)
    x = torch.arange(6.0).double()
    torch.testing.assert_close(x @ folded.W_V[1, 0], (x * W.ln1_gain[1]) @ W.W_V[1, 0])
    torch.testing.assert_close(x @ folded.W_Q[0, 1], (x * W.ln1_gain[0]) @ W.W_Q[0, 1])
    torch.testing.assert_close(x @ folded.W_U, (x * W.ln_final_gain) @ W.W_U)


def test_without_layer_norm_there_is_nothing_to_fold():
    plain = replace(W, ln1_gain=None, ln1_bias=None, ln_final_gain=None, ln_final_bias=None)
    assert gains_folded(plain) is plain


def with_feed_forward(**changes):
    generator = torch.Generator().manual_seed(5)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    parts = {"ff_keys": random(2, 4, 6), "ff_gates": random(2, 4, 6), "ff_values": random(2, 4, 6)}
    norms = {"ln2_gain": random(2, 6), "ln2_bias": random(2, 6)}
    return replace(W, **parts, **norms, activation="relu", **changes)


def test_raw_leaves_the_gains_out():
    assert gains_folded(W, "raw") is W


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_centred_matrices_read_raw_embeddings_as_the_norm_would(norm):
    weights = with_feed_forward(norm=norm)
    folded = gains_folded(weights, "folded_centred")
    x = torch.arange(6.0).double() ** 2
    read = x if norm == "rms" else x - x.mean()
    for name in ("W_Q", "W_K", "W_V"):
        expected = (read * weights.ln1_gain[1]) @ getattr(weights, name)[1, 0]
        torch.testing.assert_close(x @ getattr(folded, name)[1, 0], expected)
    for name in ("ff_keys", "ff_gates"):
        expected = getattr(weights, name)[1] @ (read * weights.ln2_gain[1])
        torch.testing.assert_close(getattr(folded, name)[1] @ x, expected)
    torch.testing.assert_close(x @ folded.W_U, (read * weights.ln_final_gain) @ weights.W_U)


def test_where_norms_come_after_each_layer_reads_the_one_before_it():
    one = with_feed_forward(norm_place="after", ln_embed_gain=torch.full((6,), 7.0).double())
    folded = gains_folded(one)
    x = torch.arange(6.0).double()
    torch.testing.assert_close(x @ folded.W_V[0, 1], 7 * x @ one.W_V[0, 1])
    torch.testing.assert_close(x @ folded.W_V[1, 1], (x * one.ln2_gain[0]) @ one.W_V[1, 1])
    torch.testing.assert_close(folded.ff_keys[1] @ x, one.ff_keys[1] @ (x * one.ln1_gain[1]))


@pytest.mark.parametrize("norm_place", ["before", "after"])
def test_a_token_after_the_first_feed_forward_part_is_a_model_whose_attention_writes_nothing(norm_place):
    embed = {"ln_embed_gain": torch.ones(6).double(), "ln_embed_bias": torch.ones(6).double()}
    weights = with_feed_forward(norm_place=norm_place, **(embed if norm_place == "after" else {}))
    silent = replace(weights, W_O=torch.zeros_like(weights.W_O))
    trace = forward(silent, torch.arange(5)[None])
    torch.testing.assert_close(effective_embedding(weights, "after_mlp0"), trace.resid[0, 1])
    assert effective_embedding(weights, "embedding") is weights.W_E
    assert effective_embedding(W, "after_mlp0") is W.W_E
