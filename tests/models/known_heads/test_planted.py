from dataclasses import replace

import pytest
import torch
from known_plan import PLAN, sentences

from pipeline.circuits.transformer.forward import forward
from pipeline.models.known_heads import planted
from pipeline.models.known_heads.known import FUNCTIONS, token_circuit
from pipeline.models.known_heads.planted import CIRCUITS, LOOK_ALIKES, construction, drawn


def generator():
    return torch.Generator().manual_seed(0)


def attention(model, layer):
    """Of head 0, [batch, query, key], on sentences in which no token but the second comes twice, last."""
    return forward(model.weights, sentences()).pattern[:, layer, 0]


def looked_for(model):
    """Layer of the last planted head -> its attention of the last query to what it looks for."""
    layer = max(layer for layer, head in model.plays if head == 0)
    key = {"induction": 2}.get(model.name, PLAN.n_ctx - 2)
    return attention(model, layer)[:, -1, key]


def searching(models):
    return [model for model in models if model.name in ("induction", "previous_token", "v_composition")]


@pytest.mark.parametrize("make", [planted.wired, planted.disguised])
def test_strong_heads_attend_to_what_they_look_for(make):
    models = list(make(PLAN, len(CIRCUITS), generator()))
    assert [model.name for model in models] == list(CIRCUITS)
    assert all(looked_for(model).min() > 0.7 for model in searching(models))
    assert {len(model.plays) for model in models} == ({1, 2} if make is planted.wired else {4, 8})


def test_weak_heads_do_so_in_part_and_copy_in_part():
    models = list(planted.weak(replace(PLAN, weak=(0.4, 0.4)), len(CIRCUITS), generator()))
    for model in searching(models):
        assert 0.2 < looked_for(model).mean() < 0.6
    circuit = torch.as_tensor(token_circuit(models[1].weights, (0, 0)))
    expected = 0.4 * torch.eye(PLAN.d_vocab) + 0.6 * torch.eye(PLAN.d_vocab).roll(1, 1)
    torch.testing.assert_close(circuit.float(), expected, atol=1e-5, rtol=0)


def test_a_strength_is_what_one_key_gets_among_those_of_an_average_query():
    planned = construction(PLAN, "previous_token", (0.4, 0.4), generator())
    from_scores = torch.tensor([planned.position_gain, *[0.0] * (PLAN.n_ctx // 2 - 1)]).softmax(0)[0]
    assert from_scores == pytest.approx(0.4)
    assert 0.2 <= drawn((0.2, 0.8), generator()) <= 0.8


def test_resting_heads_share_what_they_look_for_with_begin():
    models = searching(planted.resting(replace(PLAN, resting=(0.75, 0.75)), len(CIRCUITS), generator()))
    for model in models:
        layer = max(layer for layer, _ in model.plays)
        target, rest = looked_for(model), attention(model, layer)[:, -1, 0]
        torch.testing.assert_close(rest / (rest + target), torch.full_like(rest, 0.75), atol=0.1, rtol=0)


def test_noise_is_as_large_as_said_and_leaves_open_what_it_destroys():
    quiet = planted.noisy(replace(PLAN, noise=(1e-6,)), 2, sentences(), generator())
    assert all(set(model.plays[0, 0]) == set(FUNCTIONS) for model in quiet)
    loud = next(planted.noisy(replace(PLAN, noise=(50.0,)), 1, sentences(), generator()))
    assert not any(loud.plays[1, 0].values())
    assert loud.name == "induction noise 50"
    assert loud.plays[1, 1] == dict.fromkeys(FUNCTIONS, False)


def alike(name):
    models = planted.look_alikes(PLAN, len(LOOK_ALIKES), generator())
    return dict(zip(LOOK_ALIKES, models, strict=True))[name]


def test_look_alikes_are_known_by_what_they_do_not_do():
    for name in LOOK_ALIKES:
        model = alike(name)
        values = [value for of_head in model.plays.values() for value in of_head.values()]
        assert values
        assert not any(values)
    assert set(alike("half_previous_token").plays[0, 0]) == {"previous_token", "induction"}
    assert set(alike("one_token").plays[0, 0]) == set(FUNCTIONS)
    assert len(alike("random").plays) == 8


def test_half_of_all_queries_look_back_and_the_others_everywhere():
    pattern = attention(alike("half_previous_token"), 0)
    back = pattern.diagonal(-1, 1, 2).mean(0)
    assert back[1::2].min() > 0.7  # queries 2, 4 ...
    torch.testing.assert_close(back[::2], 1 / torch.arange(2.0, PLAN.n_ctx + 1)[::2], atol=1e-4, rtol=0)


def test_the_nearer_the_more():
    last = attention(alike("recent"), 0)[0, -1].flip(0)
    torch.testing.assert_close(last[1:4] / last[:3], torch.full((3,), torch.e).reciprocal(), atol=1e-4, rtol=0)


def test_one_token_is_raised_whatever_is_seen():
    circuit = torch.as_tensor(token_circuit(alike("one_token").weights, (0, 0)))
    raised = circuit.argmax(-1).unique()
    assert len(raised) == 1
    assert (circuit[:, raised] > 0.9).all()
    assert circuit.abs().sum() == pytest.approx(PLAN.d_vocab, rel=1e-3)


def test_a_group_is_raised_alike():
    circuit = torch.as_tensor(token_circuit(alike("groups").weights, (0, 0))).float()
    same = torch.arange(PLAN.d_vocab) // planted.GROUP
    torch.testing.assert_close(circuit, (same[:, None] == same).float(), atol=1e-5, rtol=0)
