import pytest
import torch
from tiny_training import tiny_training, weights

from pipeline.models.journal import Journal, log_spaced


def test_journal_keeps_and_measures_the_chosen_steps():
    run = tiny_training()
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
