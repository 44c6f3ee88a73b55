import torch

from pipeline.circuits.transformer.forward import forward
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights

D_MODEL = 4
QKV = torch.arange(3.0 * D_MODEL * D_MODEL).reshape(3 * D_MODEL, D_MODEL)
OUTPUT = torch.arange(1.0 * D_MODEL * D_MODEL).reshape(D_MODEL, D_MODEL)
TENSORS = {
    "token_embedding.weight": torch.ones(5, D_MODEL),
    "pos_embedding.weight": torch.ones(3, D_MODEL),
    "blocks.0.project_qkv.weight": QKV,
    "blocks.0.project_output.weight": OUTPUT,
}
CONFIG = {"model_type": "attention_only", "n_layers": 1, "n_heads": 2, "tied": True, "positions": "queries_and_keys"}


def test_heads_are_rows_of_the_fused_projection():
    weights = to_weights(CONFIG, TENSORS.__getitem__)
    # Head 1's queries are output rows 2 and 3; its keys start d_model rows later.
    torch.testing.assert_close(weights.W_Q[0, 1], QKV[2:4].T)
    torch.testing.assert_close(weights.W_K[0, 1], QKV[6:8].T)
    torch.testing.assert_close(weights.W_V[0, 0], QKV[8:10].T)
    torch.testing.assert_close(weights.W_O[0, 1], OUTPUT[:, 2:4].T)
    torch.testing.assert_close(weights.W_U, weights.W_E.T)


def test_an_unembedding_of_its_own_is_read_and_no_positions_are_none():
    unembedding = torch.arange(5.0 * D_MODEL).reshape(5, D_MODEL)
    tensors = TENSORS | {"unembedding.weight": unembedding}
    del tensors["pos_embedding.weight"]
    weights = to_weights(CONFIG | {"tied": False, "positions": "none"}, tensors.__getitem__)
    torch.testing.assert_close(weights.W_U, unembedding.T)
    assert (weights.W_pos, weights.positions) == (None, "none")


def test_the_rebuilt_network_is_the_network():
    config = AttentionOnlyConfig(3, 2, 8, 10, 6, "queries_and_keys", tied=False)
    network, generator = AttentionOnly(config).double(), torch.Generator().manual_seed(0)
    network.initialise(1.0, 1.0, 1.0, generator)
    tokens = torch.randint(6, (2, 9), generator=generator)
    weights = to_weights(vars(config) | {"model_type": "attention_only"}, network.state_dict().__getitem__)
    own, trace = network.trace(tokens, torch.float64), forward(weights, tokens)
    torch.testing.assert_close(trace.logits, own.logits)
    torch.testing.assert_close(trace.pattern, own.pattern)
