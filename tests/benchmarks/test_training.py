import pytest
import torch
from smoke_benchmark import smoke_settings

from pipeline.benchmarks import training

SIZES = smoke_settings().training


def generator():
    return torch.Generator().manual_seed(0)


def test_the_bare_products_are_those_of_a_step(monkeypatch):
    """Multiplications, by hand: 14 rows, width 8, 4 heads of 4 in 7 positions, a vocabulary of 20; thrice a step."""
    done = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda a, b, out: done.append(a.numel() * b.shape[2]) or bmm(a, b, out=out))
    training.bare_products(SIZES, torch.float32, generator())()
    assert sum(done) == SIZES.steps * 3 * (4 * 14 * 8 * 8 + 2 * 4 * 7 * 7 * 4 + 14 * 8 * 20)


OURS, USUAL = (lambda: training.our_steps(SIZES, generator())[1]), (lambda: training.usual_loop(SIZES, generator()))


@pytest.mark.parametrize("steps", [OURS, USUAL])
def test_either_training_takes_batches_of_the_size_asked_for(monkeypatch, steps):
    drawn = []
    tokens_of = training.tokens_of
    monkeypatch.setattr(training, "tokens_of", lambda *asked: drawn.append(tokens_of(*asked)) or drawn[-1])
    steps()()
    assert [tuple(tokens.shape) for tokens in drawn] == [(2, 8)] * SIZES.steps
