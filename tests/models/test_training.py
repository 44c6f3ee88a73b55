import math
from dataclasses import replace

import pytest
import torch
from tiny_training import OPTIMISATION, tiny_training, weights
from torch import Generator

from pipeline.models.sequences import FIRST_COPY, OTHER, SECOND_COPY
from pipeline.models.training import Optimisation, chosen_device, chosen_dtype, mean_losses


@pytest.mark.parametrize("stop", [1, 7, 19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_cut_and_resumed_ends_with_the_same_bits(stop, dtype):
    whole = tiny_training(dtype=dtype)
    losses = [loss for _, loss in whole.steps()]

    cut = tiny_training(dtype=dtype)
    for step, _ in cut.steps():
        if step == stop:
            break
    resumed = tiny_training(dtype=dtype)
    resumed.load(cut.state())
    assert [loss for _, loss in resumed.steps()] == losses[stop:]
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value)


def test_learning_rate_rises_stays_and_falls_in_straight_lines():
    shares = [OPTIMISATION.learning_rate_after(step) / OPTIMISATION.learning_rate for step in range(21)]
    assert shares[:4] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])
    assert shares[4:11] == pytest.approx([1] * 7)
    assert shares[10:] == pytest.approx([1 - place / 10 for place in range(11)])


def test_a_sequence_that_always_repeats_is_learned():
    same = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1, 2, 3]])
    run = tiny_training(Optimisation(60, 1e-2, 0, 0.3, 0.9, 0.98, 1e-8, 0.0), batch=lambda generator: same)
    losses = [loss for _, loss in run.steps()]
    assert losses[-1] < 0.1 * losses[0]


def test_the_first_step_is_adams():
    same = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1, 2, 3]])
    plain = replace(OPTIMISATION, warmup_steps=0, epsilon=0.25, weight_decay=0.0)
    run = tiny_training(plain, batch=lambda generator: same)
    first = weights(run)
    run.model.losses(same).mean().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in run.model.named_parameters()}
    next(run.steps())
    for name, value in run.model.state_dict().items():
        g = gradients[name]  # after one step both running means are, corrected for their start, those of g alone
        torch.testing.assert_close(value, first[name] - 1e-2 * g / (g.abs() + 0.25))


def test_a_loss_that_is_not_finite_stops_the_run():
    run = tiny_training()
    with torch.no_grad():
        run.model.token_embedding.weight[:] = math.inf
    with pytest.raises(ValueError, match=r"after 0 steps; lower train\.learning_rate"):
        next(run.steps())


def test_mean_losses_are_split_by_token_class():
    run = tiny_training()
    tokens = torch.randint(6, (3, 10), generator=Generator().manual_seed(2))
    classes = torch.full_like(tokens, OTHER)
    classes[:, 1:3], classes[:, 5:7] = FIRST_COPY, SECOND_COPY
    losses = run.model.losses(tokens).double()
    measured = mean_losses(run.model, tokens, tokens, classes)
    # the loss at entry p is about the token at position p + 1
    expected = {"heldout": losses.mean(), "first_copy": losses[:, 0:2].mean(), "second_copy": losses[:, 4:6].mean()}
    assert measured == pytest.approx({split: value.item() for split, value in expected.items()})


def test_hardware_asked_for_by_name():
    assert chosen_device("cpu") == torch.device("cpu")
    assert chosen_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
    assert chosen_dtype("float32", torch.device("cpu")) is torch.float32
    assert chosen_dtype("auto", torch.device("cpu")) in (torch.bfloat16, torch.float32)


def test_missing_cuda_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"set train\.device=auto"):
        chosen_device("cuda")
