import numpy as np
import pytest
import torch
from known_plan import PLAN, sentences

from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.transformer.forward import forward
from pipeline.models.constructed import constructed
from pipeline.models.known_heads import trained as module
from pipeline.models.known_heads.known import weights_of
from pipeline.models.known_heads.planted import CIRCUITS
from pipeline.models.known_heads.trained import BEGIN, Recipe, text, trained_models
from pipeline.models.sequences import Copies
from pipeline.models.training import Optimisation

STEPS = Optimisation(12, 1e-2, 1, 0.3, 0.9, 0.98, 1e-8, 0.0)


def generator():
    return torch.Generator().manual_seed(0)


def recipe():
    read = text(PLAN.d_vocab, 32, PLAN.n_ctx, 1.5, generator())
    return Recipe(read, Copies(0.5, 3, 5), 8, STEPS)


def test_text_is_a_chain_that_begins_once():
    few = text(16, 400, 16, 6.0, generator())
    assert (few[:, 0] == BEGIN).all()
    assert (few[:, 1:] != BEGIN).all()
    after = few[:, 2:][few[:, 1:-1] == few[0, 1]]
    assert after.bincount().max() / len(after) > 0.3  # 1/15, were it not a chain


def test_planted_heads_do_what_they_were_wired_to(monkeypatch):
    """To the pattern that follows from the wiring, without any weights; and the others have changed."""
    made = []

    def kept(planned, of):
        model = constructed(planned, of)
        made.append((planned, weights_of(model)))
        return model

    monkeypatch.setattr(module, "constructed", kept)
    models = [model for model in trained_models(PLAN, 5, recipe(), generator()) if model.name.startswith("around")]
    read = sentences()
    assert {len(planned.wiring) for planned, _ in made} == {1, 2}
    for model, (planned, before) in zip(models, made, strict=True):
        pattern = forward(model.weights, read).pattern.numpy()
        for row, tokens in enumerate(read.tolist()):
            for layer, expected in enumerate(follow(planned, tokens).patterns):
                np.testing.assert_allclose(pattern[row, layer, 0], expected, atol=1e-4)
        assert (model.weights.W_Q[0, 1:] - before.W_Q[0, 1:]).abs().amax((1, 2)).min() > 1e-3
        assert torch.equal(model.weights.W_E, before.W_E)


def test_nothing_is_said_of_free_heads_but_what_they_cannot_do():
    models = list(trained_models(PLAN, 8, recipe(), generator()))
    assert [model.name for model in models[:3]] == [f"around {circuit}" for circuit in CIRCUITS[:3]]
    assert [model.name for model in models[3::4]] == ["one layer", "no positions"]
    assert models[3].plays == {(0, head): {"induction": False} for head in range(4)}
    assert models[7].plays == {(0, head): {"previous_token": False} for head in range(4)}
    assert models[7].weights.W_pos is None
    assert models[0].plays[0, 1] == {"induction": False}
    assert (1, 1) not in models[0].plays
    assert models[0].plays[1, 0] == {"induction": True, "previous_token": False, "copying": True}


def test_copies_are_put_into_what_is_read():
    drawn = recipe().draw(generator())
    assert drawn.shape == (8, PLAN.n_ctx)
    assert (drawn[:, 0] == BEGIN).all()


@pytest.mark.parametrize("name", ["one layer", "no positions"])
def test_what_a_network_lacks_is_why_its_heads_cannot(name):
    """A first layer's scores of the same tokens are the same after another text: it cannot match prefixes.

    Without positions, a key's score is the same wherever it stands: the key just before is no other.
    """
    models = {model.name: model for model in trained_models(PLAN, 8, recipe(), generator())}
    first, second = sentences()[:1], sentences()[:1].clone()
    if name == "one layer":
        second[:, 1] = (second[:, 1] % 15) + 1  # what came before key 2
        scores = [forward(models[name].weights, tokens).scores[:, 0, :, -2, 2] for tokens in (first, second)]
    else:
        second[:, [3, 13]] = second[:, [13, 3]]
        scores = [
            forward(models[name].weights, tokens).scores[:, 0, :, 14, key] for tokens, key in ((first, 13), (second, 3))
        ]
    torch.testing.assert_close(*scores)
