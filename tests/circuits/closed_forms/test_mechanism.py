import numpy as np
import pytest
import torch
from constructions import construction, network

from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.closed_forms.wiring import CIRCUITS

TOKENS = [0, 3, 5, 3, 4, 4, 13, 3, 5, 0, 1, 2]


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_mechanism_does_what_the_network_does(circuit):
    wired = construction(circuit)
    followed, model, ids = follow(wired, TOKENS), network(wired), torch.tensor([TOKENS])
    trace = model.trace(ids, torch.float64)
    np.testing.assert_allclose(np.stack(followed.patterns), trace.pattern[0, :, 0].detach(), atol=1e-6)
    np.testing.assert_allclose(followed.logits, trace.logits[0].detach(), atol=1e-5)
    np.testing.assert_allclose(followed.losses(), model.losses(ids, torch.float64)[0].detach(), atol=1e-5)


def test_a_silent_layer_is_one_whose_outputs_are_zero():
    wired = construction("induction")
    model = network(wired)
    torch.nn.init.zeros_(model.blocks[0].project_output.weight)
    trace = model.trace(torch.tensor([TOKENS]), torch.float64)
    followed = follow(wired, TOKENS, silent=[0])
    np.testing.assert_allclose(followed.logits, trace.logits[0].detach(), atol=1e-5)
    assert (followed.written[0] == 0).all()


def test_patterns_that_are_held_are_attended_with():
    wired = construction("induction")
    first = [np.eye(len(TOKENS))] * 2  # every query looks at itself, and writes its own token twice over
    followed = follow(wired, TOKENS, patterns=first)
    expected = np.eye(wired.d_vocab)[TOKENS]
    np.testing.assert_array_equal(followed.written[0], expected)
    np.testing.assert_array_equal(followed.logits, (1 + wired.copy_gain) * expected)


@pytest.mark.parametrize(("circuit", "side"), [("induction", "K"), ("q_composition", "Q"), ("v_composition", "V")])
def test_a_side_that_is_cut_no_longer_reads_what_it_needs(circuit, side):
    """What the second layer reads is then zero: it attends to all alike, or moves nothing."""
    wired = construction(circuit)
    cut = follow(wired, TOKENS, cut=side)
    if side == "V":
        assert (cut.written[1] == 0).all()
    else:
        even = [[1 / (query + 1) if key <= query else 0 for key in range(len(TOKENS))] for query in range(len(TOKENS))]
        np.testing.assert_allclose(cut.patterns[1], even)
    for kept in set("QKV") - {side}:
        np.testing.assert_array_equal(follow(wired, TOKENS, cut=kept).logits, follow(wired, TOKENS).logits)
