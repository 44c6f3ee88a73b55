"""Small models whose heads are known: how they are planted, and sentences that they read."""

import torch

from pipeline.models.known_heads.planted import Plan

PLAN = Plan(
    d_vocab=16,
    n_ctx=16,
    d_model=64,
    strong=(0.95, 0.99),
    weak=(0.3, 0.8),
    resting=(0.5, 0.9),
    noise=(0.1,),
    least_kept=0.3,
    shortcut=4,
    embedding_sd=1.0,
    position_sd=1.0,
    query_key_scale=0.3,
)


def sentences():
    """[BEGIN], tokens in other orders, none twice but the last: it is the first again, so that 2 is to be attended."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.stack([torch.randperm(15, generator=generator)[:14] + 1 for _ in range(4)])
    return torch.cat([torch.zeros(4, 1, dtype=torch.int64), rows, rows[:, :1]], 1)
