import math

import pytest
import torch
from constructions import D_MODEL, D_VOCAB, case, construction, dense, network, repeated, scores_of, sentences

from pipeline.circuits.closed_forms import of_pairs
from pipeline.circuits.closed_forms.expected import DISTRACTED, UNDEFINED
from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.transformer.losses import token_losses

CIRCUITS = ["induction", "q_composition", "v_composition"]


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_composition_is_that_of_the_dense_matrices(circuit):
    wired = construction(circuit)
    (_, OV, _), (_, above, QK) = dense(wired, 0), dense(wired, 1)
    pair = case(wired, 1)
    for through, read in (("Q", QK), ("K", QK.mT), ("V", above)):
        share = float((OV @ read).norm() / (OV.norm() * read.norm()))
        assert of_pairs.composition(through)(pair) == pytest.approx(share, abs=1e-9)
        above_chance = of_pairs.composition(through, above_chance=True)(pair)
        assert above_chance == pytest.approx(share - 1 / math.sqrt(D_MODEL), abs=1e-9)
    fed = {"induction": "K", "q_composition": "Q", "v_composition": "V"}[circuit]
    assert of_pairs.composition(fed)(pair) == pytest.approx(1 / math.sqrt(D_VOCAB))


@pytest.mark.parametrize("circuit", CIRCUITS)
@pytest.mark.parametrize(("closed_form", "which"), [(of_pairs.matching, "matches"), (of_pairs.virtual, "copies")])
def test_circuits_through_both_heads_are_those_of_the_dense_matrices(circuit, closed_form, which):
    wired = construction(circuit)
    (W_E, OV, _), (_, above, QK) = dense(wired, 0), dense(wired, 1)
    matrix = W_E @ QK @ (W_E @ OV).mT if which == "matches" else W_E @ OV @ above @ W_E.mT
    measured = scores_of(matrix.numpy())
    pair = case(wired, 1)
    assert closed_form("top")(pair) == measured["top1"]
    known = closed_form("eigenvalue")(pair)
    assert math.isnan(measured["eigenvalue"]) if known == UNDEFINED else known == pytest.approx(measured["eigenvalue"])
    assert (known == 1) == (circuit == {"matches": "induction", "copies": "v_composition"}[which])


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_what_flows_through_both_heads_is_the_product_of_patterns_and_dense_matrices(circuit):
    wired = construction(circuit)
    tokens = torch.tensor([repeated(5, 2), [0, 3, 5, 3, 4, 4, 13, 3, 5, 0, 1]])
    trace = network(wired).trace(tokens, torch.float64)
    (W_E, OV, _), (_, above, _) = dense(wired, 0), dense(wired, 1)
    pattern, logits = trace.pattern.detach(), trace.logits.detach()
    path = pattern[:, 1, 0] @ pattern[:, 0, 0] @ W_E[tokens] @ OV @ above
    stream = W_E[tokens] + pattern[:, 0, 0] @ W_E[tokens] @ OV
    layer = pattern[:, 1, 0] @ stream @ above
    pair = case(wired, 1, [follow(wired, sentence) for sentence in tokens.tolist()])
    assert of_pairs.norm_share(pair) == pytest.approx(float(path.norm() / layer.norm()), abs=1e-9)
    without, whole = (token_losses(of, tokens)[:, 1:].mean() for of in (logits - path @ W_E.mT, logits))
    assert of_pairs.loss_removed(pair) == pytest.approx(float(without - whole), abs=1e-6)
    added = path @ W_E.mT
    lead = (added - added.mean(-1, keepdim=True))[:, :-1].gather(-1, tokens[:, 1:, None]).mean()
    assert of_pairs.logit_contribution(pair) == pytest.approx(float(lead), abs=1e-6)


def test_distractors_add_to_the_layer_what_chance_decides():
    wired = construction("v_composition", n_heads=2, d_model=64)
    assert of_pairs.norm_share(case(wired, 1, sentences(wired))) == DISTRACTED


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_overlaps_are_those_of_the_dense_matrices(circuit):
    """The trace of the product of both projections."""
    wired = construction(circuit)
    (_, OV, _), (_, above, QK) = dense(wired, 0), dense(wired, 1)
    pair = case(wired, 1)
    written = torch.linalg.pinv(OV) @ OV
    for through, read in (("Q", QK), ("K", QK.mT), ("V", above)):
        shared = float((written @ read @ torch.linalg.pinv(read)).trace())
        assert of_pairs.projection_kernel(through)(pair) == pytest.approx(shared, abs=1e-6)
    fed = {"induction": "K", "q_composition": "Q", "v_composition": "V"}[circuit]
    assert of_pairs.projection_kernel(fed)(pair) == D_VOCAB
