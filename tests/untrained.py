"""Small random models, a head that copies, and sequences for them."""

import torch

from pipeline.circuits.transformer.weights import Weights

D_VOCAB, LENGTH, PERIOD, N_HEADS, D_MODEL, D_HEAD = 12, 9, 4, 3, 12, 4
EVERY = torch.arange(D_VOCAB)


def model(seed):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(2, N_HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    return Weights(
        positions="queries_and_keys",
        W_E=torch.eye(D_VOCAB),
        W_U=torch.eye(D_VOCAB),
        W_pos=random(LENGTH, D_MODEL),
        W_O=random(2, N_HEADS, D_HEAD, D_MODEL),
        **tall,
    )


def copier():
    """Head 0.0 sends back all it reads, as it is."""
    weights = model(0)
    weights.W_O[0, 0] = weights.W_V[0, 0].mT
    return weights


def sequences():
    """[BEGIN], then random tokens (period None), or a block of distinct ones twice: three sentences each."""
    generator, sets = torch.Generator().manual_seed(1), {}
    for period in (None, PERIOD):
        sentences = []
        for _ in range(3):
            tokens = torch.randint(1, D_VOCAB, (LENGTH - 1,), generator=generator)
            if period:
                tokens = (torch.randperm(D_VOCAB - 1, generator=generator)[:period] + 1).repeat(2)
            sentences.append(torch.cat([torch.tensor([0]), tokens]))
        sets[period] = torch.stack(sentences)
    return sets
