from dataclasses import replace

import pytest
import torch

from pipeline.circuits.transformer.attention import turns
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.distances import TokenMoments, score_parts
from pipeline.circuits.vocabulary.factors import effective_embedding

D_VOCAB, D_MODEL, D_HEAD, HEADS, DISTANCES = 6, 5, 4, 2, 5
FREQUENCY = torch.tensor([1.0, 0.1], dtype=torch.float64)


def network(norms):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(1, HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    ends = {"W_E": random(D_VOCAB, D_MODEL), "W_U": random(D_MODEL, D_VOCAB), "W_O": random(1, HEADS, D_HEAD, D_MODEL)}
    own = {name: random(1, HEADS, D_HEAD) for name in ("b_Q", "b_K")}
    own |= {name: random(1, D_MODEL) for name in ("ln1_gain", "ln1_bias")} | {"ln_final_gain": random(D_MODEL)}
    weights = Weights("rotary", **tall, **ends, **(own if norms else {}), rotary_frequency=FREQUENCY)
    return replace(weights, norm="rms", gain_from=1.0, embed_scale=3.0) if norms == "gemma" else weights


@pytest.mark.parametrize("norms", ["", "layer", "gemma"])
def test_both_parts_are_those_of_all_scores_at_a_distance(norms):
    weights, counts = network(norms), torch.tensor([3, 1, 0, 2, 5, 1])
    moments = TokenMoments.of(weights, effective_embedding(weights, "embedding"), counts)
    position, content = score_parts(weights, 0, moments, turns(FREQUENCY, "halves", D_HEAD, DISTANCES))
    pairs = torch.cartesian_prod(torch.arange(D_VOCAB), torch.arange(D_VOCAB))
    share = counts[pairs].prod(1) / counts.sum() ** 2
    for distance in range(1, DISTANCES):
        tokens = torch.zeros(len(pairs), distance + 1, dtype=torch.int64)
        tokens[:, 0], tokens[:, -1] = pairs.T
        scores = forward(weights, tokens).scores[:, 0, :, -1, 0]
        mean = share.double() @ scores
        torch.testing.assert_close(position[:, distance], mean)
        torch.testing.assert_close(content[:, distance], (share.double() @ (scores - mean) ** 2).sqrt())


def test_a_rotary_previous_token_head_peaks_at_distance_1_whatever_the_tokens_are():
    """All tokens share a direction, which queries read as u and keys as u turned by one; each has one of its own."""
    d_model, u = D_VOCAB + 1, torch.tensor([[1.0, 2.0, 0.5, 1.0]], dtype=torch.float64)
    between = turns(FREQUENCY, "halves", D_HEAD, DISTANCES)
    W_Q, W_K = torch.randn(2, d_model, D_HEAD, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    W_Q[:-1] -= W_Q[:-1].mean(0)
    W_K[:-1] -= W_K[:-1].mean(0)
    W_Q[-1], W_K[-1] = u, u @ between[1]
    other = torch.zeros(1, 1, d_model, D_HEAD, dtype=torch.float64)
    W_E = torch.cat([torch.eye(D_VOCAB, dtype=torch.float64), torch.ones(D_VOCAB, 1, dtype=torch.float64)], 1)
    ends = {"W_E": W_E, "W_U": W_E.T, "W_V": other, "W_O": other.mT}
    weights = Weights("rotary", W_Q=W_Q[None, None], W_K=W_K[None, None], **ends, rotary_frequency=FREQUENCY)
    moments = TokenMoments.of(weights, W_E, torch.ones(D_VOCAB, dtype=torch.int64))
    position, content = score_parts(weights, 0, moments, between)
    assert position[0].argmax() == 1
    torch.testing.assert_close(position[0, 1], (u @ u.mT)[0, 0] / 2)
    expected = torch.stack([(u @ between[distance] @ between[1].mT @ u.mT)[0, 0] / 2 for distance in range(DISTANCES)])
    torch.testing.assert_close(position[0], expected)
    assert (content > 0).all()
