import math

import pytest
import torch
from torch import Generator

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.journal import Journal, log_spaced
from pipeline.models.sequences import FIRST_COPY, OTHER, SECOND_COPY
from pipeline.models.training import Optimisation, Training, chosen_device, chosen_dtype, mean_losses

OPTIMISATION = Optimisation(
    steps=20,
    learning_rate=1e-2,
    warmup_steps=4,
    decay_share=0.5,
    beta1=0.9,
    beta2=0.98,
    epsilon=1e-8,
    weight_decay=0.1,
)


def training(optimisation=OPTIMISATION, batch=None, dtype=torch.float32):
    config = AttentionOnlyConfig(2, 2, 8, 10, 6, "queries_and_keys", tied=False)
    model, generator = AttentionOnly(config), Generator().manual_seed(1)
    model.initialise(1.0, 1.0, 1.0, generator)

    def random_tokens(generator):
        return torch.randint(6, (4, 10), generator=generator)

    return Training(model, batch or random_tokens, optimisation, generator, dtype)


def weights(run):
    return {name: value.clone() for name, value in run.model.state_dict().items()}


@pytest.mark.parametrize("stop", [1, 7, 19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_cut_and_resumed_ends_with_the_same_bits(stop, dtype):
    whole = training(dtype=dtype)
    losses = [loss for _, loss in whole.steps()]

    cut = training(dtype=dtype)
    for step, _ in cut.steps():
        if step == stop:
            break
    resumed = training(dtype=dtype)
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
    run = training(Optimisation(60, 1e-2, 0, 0.3, 0.9, 0.98, 1e-8, 0.0), batch=lambda generator: same)
    losses = [loss for _, loss in run.steps()]
    assert losses[-1] < 0.1 * losses[0]


def test_a_loss_that_is_not_finite_stops_the_run():
    run = training()
    with torch.no_grad():
        run.model.token_embedding.weight[:] = math.inf
    with pytest.raises(ValueError, match=r"after 0 steps; lower train\.learning_rate"):
        next(run.steps())


def test_mean_losses_are_split_by_token_class():
    run = training()
    tokens = torch.randint(6, (3, 10), generator=Generator().manual_seed(2))
    classes = torch.full_like(tokens, OTHER)
    classes[:, 1:3], classes[:, 5:7] = FIRST_COPY, SECOND_COPY
    losses = run.model.losses(tokens).double()
    found = mean_losses(run.model, tokens, tokens, classes)
    # the loss at entry p is about the token at position p + 1
    expected = {"heldout": losses.mean(), "first_copy": losses[:, 0:2].mean(), "second_copy": losses[:, 4:6].mean()}
    assert found == pytest.approx({split: value.item() for split, value in expected.items()})


def test_journal_keeps_and_measures_the_chosen_steps():
    run = training()
    journal = Journal(keep=[0, 20], measure=[0, 5, 20], losses=lambda model: {"heldout": 1.5}, tokens_per_step=40)
    first = weights(run)
    journal.note(run)
    for _, loss in run.steps():
        journal.note(run, loss)
    assert {name.split("/")[0] for name in journal.checkpoints} == {"0", "20"}
    for name, value in first.items():
        assert torch.equal(journal.checkpoints[f"0/{name}"], value)
        assert torch.equal(journal.checkpoints[f"20/{name}"], run.model.state_dict()[name])
    rows = [(row["step"], row["split"]) for row in journal.curve]
    assert [row["tokens"] for row in journal.curve] == [0, 200, 200, 800, 800]
    assert rows == [(0, "heldout"), (5, "train"), (5, "heldout"), (20, "train"), (20, "heldout")]


@pytest.mark.parametrize(
    ("first", "last", "count"), [(10, 1000, 5), (1, 7, 16), (25, 2000, 16), (50, 20, 9), (1, 1, 4)]
)
def test_log_spaced_steps_start_at_0_and_end_at_the_last(first, last, count):
    steps = log_spaced(first, last, count)
    assert steps[0] == 0
    assert steps[-1] == last
    assert len(steps) <= count
    assert steps == sorted(set(steps))


def test_log_spaced_steps_have_equal_ratios():
    assert log_spaced(10, 10_000, 5) == [0, 10, 100, 1000, 10_000]


def test_hardware_asked_for_by_name():
    assert chosen_device("cpu") == torch.device("cpu")
    assert chosen_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
    assert chosen_dtype("float32", torch.device("cpu")) is torch.float32
    assert chosen_dtype("auto", torch.device("cpu")) in (torch.bfloat16, torch.float32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_cuda_is_said():
    with pytest.raises(ValueError, match=r"set train\.device=auto"):
        chosen_device("cuda")
