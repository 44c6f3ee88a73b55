import math

import pytest
import torch
from torch import Generator

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig, Network


def network(**changes):
    shape = {"n_layers": 2, "n_heads": 2, "d_model": 6, "n_ctx": 7, "d_vocab": 5, "positions": "queries_and_keys"}
    model = AttentionOnly(AttentionOnlyConfig(**(shape | {"tied": False} | changes)))
    model.initialise(embedding_sd=1.0, position_sd=1.0, query_key_scale=1.0, generator=Generator().manual_seed(3))
    return model


def tokens(rows=2, positions=6, d_vocab=5):
    return torch.randint(d_vocab, (rows, positions), generator=Generator().manual_seed(4))


def by_hand(model, sequence):
    """Logits of one sequence with plain loops over positions and heads, in float64."""
    weights = {name: value.detach().double() for name, value in model.state_dict().items()}
    d_model, d_head = model.config.d_model, model.config.d_head
    resid = [weights["token_embedding.weight"][token] for token in sequence]
    for layer in range(model.config.n_layers):
        W_qkv, W_O = weights[f"blocks.{layer}.project_qkv.weight"], weights[f"blocks.{layer}.project_output.weight"]
        written = [torch.zeros(d_model, dtype=torch.float64) for _ in resid]
        for head in range(model.config.n_heads):
            rows = slice(head * d_head, (head + 1) * d_head)
            W_Q, W_K, W_V = W_qkv[:d_model][rows], W_qkv[d_model : 2 * d_model][rows], W_qkv[2 * d_model :][rows]
            placed = resid
            if model.config.positions != "none":
                placed = [x + weights["pos_embedding.weight"][place] for place, x in enumerate(resid)]
            for q in range(len(resid)):
                score = [float((W_Q @ placed[q]) @ (W_K @ placed[k])) / math.sqrt(d_head) for k in range(q + 1)]
                total = sum(math.exp(s) for s in score)
                for k in range(q + 1):
                    written[q] += math.exp(score[k]) / total * (W_O[:, rows] @ (W_V @ resid[k]))
        resid = [x + more for x, more in zip(resid, written, strict=True)]
    W_U = weights["token_embedding.weight" if model.config.tied else "unembedding.weight"]
    return torch.stack([W_U @ x for x in resid])


@pytest.mark.parametrize("changes", [{}, {"tied": True}, {"positions": "none"}, {"n_layers": 1, "n_heads": 3}])
def test_forward_is_what_plain_loops_compute(changes):
    model, ids = network(**changes), tokens()
    expected = torch.stack([by_hand(model, row) for row in ids])
    torch.testing.assert_close(model(ids).double(), expected, rtol=1e-5, atol=1e-5)


def test_parameters_have_the_names_of_the_notebook_checkpoint():
    shapes = {name: tuple(value.shape) for name, value in network(tied=True).state_dict().items()}
    assert shapes == {
        "token_embedding.weight": (5, 6),
        "pos_embedding.weight": (7, 6),
        "blocks.0.project_qkv.weight": (18, 6),
        "blocks.0.project_output.weight": (6, 6),
        "blocks.1.project_qkv.weight": (18, 6),
        "blocks.1.project_output.weight": (6, 6),
    }


def test_trace_holds_the_scores_and_pattern_of_the_same_pass():
    model, ids = network(), tokens()
    trace = model.trace(ids)
    assert trace.pattern.shape == trace.scores.shape == (2, 2, 2, 6, 6)
    torch.testing.assert_close(trace.logits, model(ids), rtol=0, atol=0)
    torch.testing.assert_close(trace.scores.softmax(-1), trace.pattern)
    torch.testing.assert_close(trace.pattern.sum(-1), torch.ones(2, 2, 2, 6))
    assert (trace.pattern.triu(1) == 0).all()


def test_positions_reach_queries_and_keys_only():
    model, ids = network(), tokens()
    with torch.no_grad():
        for block in model.blocks:
            block.project_qkv.weight[:12] = 0  # no queries, no keys: attention is uniform whatever is read
        before = model(ids)
        model.pos_embedding.weight += 5
        assert torch.equal(model(ids), before)


def test_without_positions_the_order_of_earlier_tokens_is_unknown():
    model = network(positions="none", n_layers=1)
    ids = torch.tensor([[1, 2, 3, 4, 0]])
    shuffled = torch.tensor([[3, 1, 4, 2, 0]])
    torch.testing.assert_close(model(ids)[:, -1], model(shuffled)[:, -1])


def test_losses_are_of_the_next_token():
    model, ids = network(), tokens()
    log_probability = model(ids).double().log_softmax(-1)
    for row in range(2):
        for position in range(5):
            expected = -log_probability[row, position, ids[row, position + 1]]
            torch.testing.assert_close(model.losses(ids)[row, position].double(), expected, rtol=1e-5, atol=1e-6)


def test_bfloat16_stays_close():
    model, ids = network(), tokens()
    # bfloat16 keeps 8 bits: 0.4 % a rounding, a few dozen of them in a row
    torch.testing.assert_close(model.losses(ids, torch.bfloat16), model.losses(ids), rtol=0.1, atol=0.1)


def test_first_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    first = network().state_dict()
    torch.manual_seed(1)
    for name, value in network().state_dict().items():
        assert torch.equal(value, first[name])


def test_a_sequence_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="n_ctx=7"):
        network()(tokens(positions=8))


def test_shape_is_picked_from_a_config_that_says_more():
    shape = {"n_layers": 1, "n_heads": 2, "d_model": 6, "n_ctx": 7, "d_vocab": 5, "positions": "none", "tied": True}
    assert AttentionOnlyConfig.from_dict(shape | {"step": 9}).d_head == 3


TOKENS = torch.tensor([[0, 1, 2], [2, 2, 0]])


class Even(Network):
    """Gives token 0 twice the odds of each other."""

    def unembedding_inputs(self, tokens, dtype):
        resid = torch.ones(tokens[:, 1:].numel(), 1, dtype=dtype)
        return resid, torch.tensor([[math.log(2)], [0], [0]], dtype=dtype), tokens[:, 1:].flatten()


def test_losses_of_any_network_are_of_the_next_token():
    expected = torch.tensor([[4, 4], [4, 2]]).log()
    torch.testing.assert_close(Even().losses(TOKENS), expected)
    torch.testing.assert_close(Even().losses(TOKENS, torch.bfloat16), expected, atol=0.01, rtol=0.01)


def test_a_network_must_say_what_it_is_and_what_its_losses_are_made_of():
    for call in (Network().described, lambda: Network().losses(TOKENS)):
        with pytest.raises(NotImplementedError):
            call()
