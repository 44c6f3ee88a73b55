import math
from dataclasses import replace

import pytest
import torch
from pipeline.circuits.scores.head_scores import circuit_scores, sequence_scores, templates
from pipeline.circuits.scores.pair_scores import circuit_scores as pair_circuit_scores
from pipeline.circuits.scores.pair_scores import composition_scores

from pipeline.circuits.scores import head_patterns
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights

D_VOCAB, N_HEADS = 20, 2
EVERY = torch.arange(D_VOCAB)


def random_weights():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    return Weights("none", random(D_VOCAB, 8), random(8, D_VOCAB), W_O=random(2, N_HEADS, 4, 8), **tall)


W = random_weights()


def eigenvalue(circuit):
    z = torch.linalg.eigvals(circuit)
    return (z.sum().real / z.abs().sum()).item()


def diagonal_z(circuit):
    return ((circuit.diagonal().mean() - circuit.mean()) / circuit.std(correction=0)).item()


def top(circuit, k):
    """Share of rows with their diagonal entry among their k largest."""
    return (circuit.topk(k).indices == EVERY[:, None]).any(-1).double().mean().item()


def test_scores_of_circuits_are_those_of_dense_circuits():
    found = circuit_scores(W, 1, EVERY, tile=7)
    for head in range(N_HEADS):
        copies = W.W_E @ W.W_V[1, head] @ W.W_O[1, head] @ W.W_U
        matches = W.W_E @ W.W_Q[1, head] @ W.W_K[1, head].mT @ W.W_E.mT
        assert {name: score.value[head].item() for name, score in found.items()} == pytest.approx(
            {
                ("copying", "eigenvalue"): eigenvalue(copies),
                ("copying", "eigenvalue_stream"): eigenvalue(W.W_V[1, head] @ W.W_O[1, head]),
                ("copying", "diagonal_z"): diagonal_z(copies),
                ("copying", "top1"): top(copies, 1),
                ("copying", "top5"): top(copies, 5),
                ("same_token_preference", "diagonal_z"): diagonal_z(matches),
                ("same_token_preference", "eigenvalue"): eigenvalue(matches),
            }
        )


def test_scores_of_pairs_are_those_of_dense_circuits():
    found = pair_circuit_scores(W, (0, 1), 1, EVERY, tile=7)
    source = W.W_V[0, 1] @ W.W_O[0, 1]
    for head in range(N_HEADS):
        matches = W.W_E @ W.W_Q[1, head] @ (W.W_E @ source @ W.W_K[1, head]).mT
        copies = W.W_E @ source @ W.W_V[1, head] @ W.W_O[1, head] @ W.W_U
        assert {name: score.value[head].item() for name, score in found.items()} == pytest.approx(
            {
                ("K_circuit", "top1_keys"): top(matches, 1),
                ("K_circuit", "top1_queries"): top(matches.mT, 1),
                ("K_circuit", "eigenvalue"): eigenvalue(matches),
                ("virtual", "top1"): top(copies, 1),
                ("virtual", "eigenvalue"): eigenvalue(copies),
            },
            abs=1e-9,
        )


def test_chance_of_an_accuracy_is_k_of_the_vocabulary():
    found = circuit_scores(W, 0, EVERY, 7)
    assert found["copying", "top5"].chance == 5 * found["copying", "top1"].chance == 5 / D_VOCAB
    pair = composition_scores(W, 0, 1)
    assert pair["K_composition", "frobenius"].chance == 1 / math.sqrt(8)
    torch.testing.assert_close(
        pair["K_composition", "above_chance"].value + 1 / math.sqrt(8),
        pair["K_composition", "frobenius"].value,
        rtol=1e-12,
        atol=0,
    )


def test_the_ideal_is_what_a_head_wired_to_be_perfect_gets():
    """Heads 8 wide that project on waves over the 20 tokens: no wave is constant, and all peak at the token."""
    angles = 2 * math.pi / 20 * torch.arange(20.0).double()[:, None] * torch.arange(1, 5)
    waves = torch.cat([angles.cos(), angles.sin()], -1) / math.sqrt(10)
    same = {name: waves.expand(2, 1, -1, -1) for name in ("W_Q", "W_K", "W_V")}
    eye = torch.eye(20, dtype=torch.float64)
    weights = Weights("none", eye, eye, W_O=waves.mT.expand(2, 1, -1, -1), **same)
    for name, score in circuit_scores(weights, 0, EVERY, 20).items():
        assert score.value.item() == pytest.approx(score.ideal), name
    for name, score in composition_scores(weights, 0, 1).items():
        assert score.value.item() == pytest.approx(score.ideal), name


def test_positions_are_scored_where_there_are_any():
    generator = torch.Generator().manual_seed(5)
    W_pos = torch.randn(70, 8, generator=generator, dtype=torch.float64)
    found = circuit_scores(replace(W, positions="residual", W_pos=W_pos), 1, EVERY, 7)
    for head in range(N_HEADS):
        scores = W_pos @ W.W_Q[1, head] @ W.W_K[1, head].mT @ W_pos.mT
        hits = [
            (scores[query, : length - 1].argmax() == query - 1).double()
            for length in (70, 64)
            for query in range(1, length)
        ]
        assert found["previous_token", "recall"].value[head].item() == sum(hits[:69]).item() / 69
        assert found["previous_token", "recall_64"].value[head].item() == sum(hits[69:]).item() / 63
        rows = [(scores[query, : query + 1] / 2).softmax(0)[query - 1] for query in range(1, 70)]
        assert found["previous_token", "positional"].value[head].item() == pytest.approx(sum(rows).item() / 69)
    assert found["previous_token", "recall_64"].chance == 1 / 63
    assert ("previous_token", "recall") not in circuit_scores(W, 1, EVERY, 7)
    gains = {"ln1_gain": torch.ones(2, 8), "ln_final_gain": torch.ones(8)}
    normed = circuit_scores(replace(W, W_pos=W_pos, **gains), 1, EVERY, 7)
    assert ("previous_token", "recall") in normed
    assert ("previous_token", "positional") not in normed


@pytest.mark.parametrize("batch", [1, 3])
def test_pattern_scores_are_weighted_means_over_sentences(batch):
    tokens = torch.tensor([[0, 1, 2, 1, 2, 1], [0, 3, 4, 5, 6, 3], [0, 3, 4, 5, 6, 7]])
    found, _ = sequence_scores(W, tokens, first=1, period=None, batch=batch)
    whole = templates(tokens, 1, None)
    pattern = forward(W, tokens).pattern
    assert set(found) == set(whole)
    for name, template in whole.items():
        torch.testing.assert_close(found[name].value, head_patterns.score(pattern, template))
        assert found[name].weight[:, 0, 0].tolist() == template.weight.tolist()
        one = sequence_scores(W, tokens[:1], first=1, period=None, batch=1)[0][name]
        torch.testing.assert_close(found[name].sentences[0], one.value)
    # Three queries of the first sentence and one of the second repeat a token.
    assert found["induction", "mass"].weight[:, 0, 0].tolist() == [3, 1, 0]
    assert found["induction", "mass"].sentences[2].isnan().all()
    assert found["induction", "mass"].ideal == pytest.approx(1)
    # Their targets: 1 at 3, 1 at 4, 2 at 5 (both followers of `1`), and 1 in the second sentence.
    assert found["induction", "entry_mean"].ideal == pytest.approx(4 / 5)
    assert found["induction", "detector_mul"].ideal == pytest.approx(4 / 18)


def test_a_head_that_copies_what_it_attends_to_has_an_olsson_score_of_one():
    """One head attends to the token before and writes it back, but [BEGIN], outside the sample, as another."""
    tokens = torch.tensor([[0, 1, 2, 3, 4, 1, 2, 3, 4], [0, 4, 2, 1, 3, 4, 2, 1, 3]])
    length, width = tokens.shape[1], tokens.shape[1]
    eye = torch.eye(width, dtype=torch.float64)
    token, position = torch.cat([eye, 0 * eye], 1)[:5], torch.cat([0 * eye, eye], 1)
    before = eye[torch.arange(length).sub(1).clamp(min=0)]
    read = eye[torch.tensor([3, 1, 2, 3, 4])]
    head = {"W_Q": 1e4 * position.mT @ before, "W_K": position.mT, "W_V": token.mT @ read}
    weights = Weights(
        positions="queries_and_keys",
        W_E=token,
        W_U=token.mT,
        W_pos=position,
        W_O=(eye[:5].mT @ token)[None, None],
        **{name: matrix[None, None] for name, matrix in head.items()},
    )
    scores, losses = sequence_scores(weights, tokens, first=1, period=4, batch=1)
    assert scores["copying", "olsson"].value.item() == pytest.approx(1)
    assert scores["previous_token", "mean"].value.item() == pytest.approx(1)
    assert losses.shape == tokens.shape
