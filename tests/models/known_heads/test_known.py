import numpy as np
import pytest
import torch
from constructions import construction, network, sentences

from pipeline.circuits.closed_forms.wiring import CIRCUITS
from pipeline.models.known_heads.known import FUNCTIONS, KnownModel, by_wiring, still_wired, token_circuit, weights_of
from pipeline.models.known_heads.known import wired_circuit as wired

WIRED = {  # head 0 of each layer: previous token, induction, copying; None where that is left open
    "uniform": [(0, 0, 0)],
    "copy": [(0, 0, 1)],
    "anticopy": [(0, 0, 0)],
    "previous_token": [(1, 0, 1)],
    "positional_shortcut": [(0, 0, 1)],
    "duplicate_token": [(0, 0, 1)],
    "induction": [(1, 0, 0), (0, 1, 1)],
    "q_composition": [(1, 0, 0), (None, 0, 1)],
    "v_composition": [(1, 0, 0), (1, 0, None)],
}


def of(name):
    return construction(name, offset=4 if name == "positional_shortcut" else 1)


@pytest.mark.parametrize("name", CIRCUITS)
def test_what_heads_do_follows_from_the_wiring(name):
    known = by_wiring(of(name))
    assert [tuple(known[layer, 0].get(function) for function in FUNCTIONS) for layer in range(len(known))] == WIRED[
        name
    ]


@pytest.mark.parametrize("name", CIRCUITS)
def test_what_the_pattern_and_the_circuit_must_be_agrees(name):
    """Whatever the labels are called: who plays a role attends there, and only who copies raises its own token."""
    planned = of(name)
    followed = sentences(planned)
    for (layer, _), plays in by_wiring(planned).items():
        for sentence in followed:
            pattern, tokens = sentence.patterns[layer], list(sentence.tokens)
            last = len(tokens) - 1  # its token came before, at `earlier`
            earlier = tokens.index(tokens[last])
            assert (pattern[last, last - 1] > 0.3) == plays.get("previous_token", pattern[last, last - 1] > 0.3)
            assert (pattern[last, earlier + 1] > 0.3) == (plays["induction"] or name == "positional_shortcut")
        raised = np.diag(wired(planned, layer)) > 0
        assert set(raised) == {plays.get("copying", False)}


def test_distractors_do_nothing():
    known = by_wiring(construction("induction", n_heads=3))
    assert known[1, 2] == dict.fromkeys(FUNCTIONS, False)


@pytest.mark.parametrize("name", ["copy", "anticopy", "uniform", "induction"])
def test_circuits_are_as_the_weights_have_them(name):
    planned = of(name)
    layer = len(planned.wiring) - 1
    weights = weights_of(network(planned))
    np.testing.assert_allclose(token_circuit(weights, (layer, 0)), wired(planned, layer), atol=1e-6)


def test_what_is_no_longer_as_it_was_wired_is_left_open():
    planned = of("induction")
    read = torch.tensor([sentence.tokens for sentence in sentences(planned)])
    weights = weights_of(network(planned))
    intact = KnownModel("noisy", "induction", weights, by_wiring(planned))
    assert still_wired(intact, planned, read, 0.99).plays == intact.plays
    weights.W_Q[1] = 0
    assert set(still_wired(intact, planned, read, 0.5).plays[1, 0]) == {"copying"}
    weights.W_O[1] = -weights.W_O[1]
    left = still_wired(intact, planned, read, 0.5).plays
    assert left[1, 0] == {}
    assert left[0, 0] == intact.plays[0, 0]
