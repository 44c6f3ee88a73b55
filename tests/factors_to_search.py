"""Pairs of factors whose product is hard to search, for one reason each."""

import torch

from pipeline.circuits.vocabulary.tall import Rows, Tall


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FACTORS = {
    "random": (random(70, 6), random(50, 6, seed=1)),
    "decaying": (random(70, 6) * 0.3 ** torch.arange(6), random(50, 6, seed=1)),
    "all positive": (random(70, 6).abs() + 1, random(50, 6, seed=1).abs()),
    "all negative": (random(70, 6).abs() + 1, -random(50, 6, seed=1).abs()),
    "integers, so ties": (random(70, 6).round(), random(50, 6, seed=1).round()),
    "duplicate rows": (random(10, 6).repeat(7, 1), random(10, 6, seed=1).repeat(5, 1)),
    "zeros": (torch.zeros(70, 6, dtype=torch.float64), random(50, 6, seed=1)),
    "rank one of six": (random(70, 1) @ random(1, 6, seed=2), random(50, 1, seed=1) @ random(1, 6, seed=3)),
    "one direction only on the left": (random(70, 6) * torch.eye(6)[0], random(50, 6, seed=1)),
    "sides that hardly meet": (
        random(70, 6) * torch.tensor([1e6, 1, 1, 1, 1, 1e-6]),
        random(50, 6) * 10.0 ** torch.arange(-6, 0),
    ),
    "one giant row": (random(70, 6) * torch.where(torch.arange(70) == 3, 1e9, 1.0)[:, None], random(50, 6, seed=1)),
    "tiny": (random(70, 6) * 1e-120, random(50, 6, seed=1) * 1e-30),
    "huge": (random(70, 6) * 1e120, random(50, 6, seed=1) * 1e30),
    "closer than float32 can tell": (1 + 1e-12 * random(70, 6), 1 + 1e-12 * random(50, 6, seed=1)),
}

ROWS, OTHER_ROWS = Rows(random(70, 30).float()), Rows(random(50, 40, seed=1).float())
FEW_DIRECTIONS = Rows((random(70, 10) @ random(10, 30, seed=2)).float())
UNREAD = torch.linalg.svd(FEW_DIRECTIONS.values.double()).Vh[10:].T  # rows have nothing but rounding there
ONE_ROW = Rows(random(1, 30).float().repeat(70, 1))
NOT_FORMED = {
    "random": (Tall(ROWS, random(30, 6)), Tall(OTHER_ROWS, random(40, 6, seed=1))),
    "one embedding on both sides": (Tall(ROWS, random(30, 6)), Tall(ROWS, random(30, 6, seed=1))),
    "decaying": (Tall(ROWS, random(30, 6) * 0.1 ** torch.arange(6)), Tall(OTHER_ROWS, random(40, 6, seed=1))),
    "huge rows, a tiny map": (Tall(Rows(1e30 * ROWS.values), 1e-40 * random(30, 6)), Tall(ROWS, random(30, 6, seed=1))),
    "tiny rows, a huge map": (Tall(Rows(1e-30 * ROWS.values), 1e40 * random(30, 6)), Tall(ROWS, random(30, 6, seed=1))),
    "a map to nothing": (Tall(ROWS, torch.zeros(30, 6, dtype=torch.float64)), Tall(ROWS, random(30, 6, seed=1))),
    "equal rows": (Tall(Rows(ROWS.values[:7].repeat(10, 1)), random(30, 6)), Tall(ROWS, random(30, 6, seed=1))),
    "a map that reads nothing but rounding": (
        Tall(FEW_DIRECTIONS, UNREAD @ random(20, 6)),
        Tall(ROWS, random(30, 6, seed=1)),
    ),
    "nothing but rounding on both sides": (
        Tall(FEW_DIRECTIONS, 1e-20 * UNREAD @ random(20, 6)),
        Tall(FEW_DIRECTIONS, 1e20 * UNREAD @ random(20, 6, seed=1)),
    ),
    "a constant embedding": (Tall(ONE_ROW, random(30, 6)), Tall(ROWS, random(30, 6, seed=1))),
    "a constant embedding on both sides": (Tall(ONE_ROW, random(30, 6)), Tall(ONE_ROW, random(30, 6, seed=1))),
    "a map that drops a constant embedding": (
        Tall(ONE_ROW, torch.linalg.svd(ONE_ROW.values.double()).Vh[1:7].T),
        Tall(ROWS, random(30, 6, seed=1)),
    ),
    "fewer rows than dimensions": (
        Tall(Rows(ROWS.values[:7]), random(30, 12)),
        Tall(Rows(OTHER_ROWS.values[:6, :30].contiguous()), random(30, 12, seed=1)),
    ),
    "rows that cancel": (
        Tall(Rows(1 + 1e-6 * ROWS.values), random(30, 6) - random(30, 6).mean(0)),
        Tall(ROWS, random(30, 6, seed=1)),
    ),
}
