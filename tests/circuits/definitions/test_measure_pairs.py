import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from pipeline.circuits.definitions.definition import OfPairRanks
from pipeline.circuits.definitions.measure_pairs import (
    circuit_scores,
    composition_scores,
    path_scores,
    promoted_tokens,
    ranked_circuit,
)
from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.virtual_heads import mixed_z
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import through_two

D_VOCAB = 11
EVERY = torch.arange(D_VOCAB)
N_HEADS = 3


def random_weights():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64) / 2  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    W_O = random(2, N_HEADS, 4, 8)
    return Weights("queries_and_keys", random(D_VOCAB, 8), random(8, D_VOCAB), W_O=W_O, W_pos=random(6, 8), **tall)


W = random_weights()
TOKENS = torch.randint(0, D_VOCAB, (2, 6), generator=torch.Generator().manual_seed(1))
TRACE = forward(W, TOKENS)
HELD = Held.of(W, TRACE)
X = W.W_E[TOKENS]


def dense_paths():
    """What every pair of heads adds to the logits, from patterns and dense products alone."""
    ov = W.W_V @ W.W_O
    return {
        (h1, h2): TRACE.pattern[:, 1, h2] @ TRACE.pattern[:, 0, h1] @ X @ ov[0, h1] @ ov[1, h2] @ W.W_U
        for h1 in range(N_HEADS)
        for h2 in range(N_HEADS)
    }


def eigenvalue(circuit):
    z = torch.linalg.eigvals(circuit)
    return (z.sum().real / z.abs().sum()).item()


def top1(circuit):
    """Share of rows that are largest on the diagonal."""
    return (circuit.argmax(-1) == EVERY).double().mean().item()


def test_scores_of_pairs_are_those_of_dense_circuits():
    scores = circuit_scores(W, 0, 1, EVERY, tile=7)
    for first, head in product(range(N_HEADS), repeat=2):
        source = W.W_V[0, first] @ W.W_O[0, first]
        matches = W.W_E @ W.W_Q[1, head] @ (W.W_E @ source @ W.W_K[1, head]).mT
        copies = W.W_E @ source @ W.W_V[1, head] @ W.W_O[1, head] @ W.W_U
        assert {name: score.value[first, head].item() for name, score in scores.items()} == pytest.approx(
            {
                ("K_circuit", "top1_keys"): top1(matches),
                ("K_circuit", "top1_queries"): top1(matches.mT),
                ("K_circuit", "eigenvalue"): eigenvalue(matches),
                ("virtual", "top1"): top1(copies),
                ("virtual", "eigenvalue"): eigenvalue(copies),
            },
            abs=1e-9,
        )


def test_what_chance_gives_composition_is_taken_off():
    scores = composition_scores(W, 0, 1)
    for through in "QKV":
        whole, above = (scores[f"{through}_composition", name] for name in ("frobenius", "above_chance"))
        assert (whole.chance, above.chance) == (1 / math.sqrt(8), 0)
        assert whole.ideal - above.ideal == pytest.approx(1 / math.sqrt(8))
        torch.testing.assert_close(above.value + 1 / math.sqrt(8), whole.value, rtol=1e-12, atol=0)


def test_the_ideal_is_what_heads_wired_to_be_perfect_get():
    """Heads that all project on the same four of eight directions."""
    eye, basis = torch.eye(8, dtype=torch.float64), torch.linalg.qr(W.W_Q[0, 0]).Q.expand(2, 1, -1, -1)
    weights = Weights("none", eye, eye, basis, basis, basis, basis.mT)
    for name, score in composition_scores(weights, 0, 1).items():
        assert score.value.item() == pytest.approx(score.ideal), name


def test_a_circuit_is_ranked_by_rows_or_by_columns():
    circuits = next(through_two(W, 0, 1))
    rows, columns = circuits["K_circuit"]
    for transposed, expected in ((False, (rows, columns)), (True, (columns, rows))):
        torch.testing.assert_close(ranked_circuit(OfPairRanks("K_circuit", transposed), circuits), expected)


def test_the_loss_without_a_path_is_left_out_where_models_have_norms():
    gains = {"ln1_gain": torch.ones(2, 8).double(), "ln1_bias": torch.zeros(2, 8).double()}
    gains |= {"ln_final_gain": torch.ones(8).double(), "ln_final_bias": torch.zeros(8).double()}
    normed = replace(W, **gains)
    scores = path_scores(Held.of(normed, forward(normed, TOKENS)), (0, 0), 1)
    assert {name for name, score in scores.items() if score.value.isnan().all()} == {("virtual", "loss_removed")}
    assert all(score.value.shape == (N_HEADS,) for score in scores.values())


def test_scores_of_paths_agree_with_dense_paths():
    scores = path_scores(HELD, (0, 1), 1)
    written = sum(TRACE.pattern[:, 1, h] @ TRACE.resid[:, 1] @ W.W_V[1, h] @ W.W_O[1, h] for h in range(N_HEADS))
    loss = token_losses(TRACE.logits, TOKENS)[:, 1:].mean()
    for head in range(N_HEADS):
        path = dense_paths()[1, head]
        stream = TRACE.pattern[:, 1, head] @ TRACE.pattern[:, 0, 1] @ X @ W.W_V[0, 1] @ W.W_O[0, 1]
        share = (stream @ W.W_V[1, head] @ W.W_O[1, head]).norm() / written.norm()
        removed = token_losses(TRACE.logits - path, TOKENS)[:, 1:].mean() - loss
        torch.testing.assert_close(scores["virtual", "norm_share"].value[head], share)
        torch.testing.assert_close(scores["virtual", "loss_removed"].value[head], removed)
        lead = (path - path.mean(-1, keepdim=True))[:, :-1].gather(-1, TOKENS[:, 1:, None]).mean()
        torch.testing.assert_close(scores["virtual", "logit_contribution"].value[head], lead)


def test_promoted_tokens_are_the_largest_logits():
    values, ids = next(promoted_tokens(HELD, [(0, 1)], 1, count=4))["virtual"]
    for head in range(N_HEADS):
        expected, places = dense_paths()[1, head].sort(descending=True)
        torch.testing.assert_close(values[head], expected[..., :4])
        torch.testing.assert_close(ids[head], places[..., :4])


def test_mixed_paths_promote_what_the_second_head_reads_of_both():
    values, ids = next(promoted_tokens(HELD, [(0, 1)], 1, count=D_VOCAB))["mixed"]
    for head in range(N_HEADS):
        logits = mixed_z(HELD, (0, 1), (1, head)) @ W.W_O[1, head] @ W.W_U
        torch.testing.assert_close(logits.gather(-1, ids[head]), values[head])
        assert (values[head].diff(dim=-1) <= 0).all()
