"""Models some of whose heads are known before any score is measured: what definitions of scores are judged by."""

from collections.abc import Iterator, Mapping

from jaxtyping import Int
from torch import Generator, Tensor

from pipeline.models.known_heads.known import FUNCTIONS, KnownModel
from pipeline.models.known_heads.planted import Plan, disguised, look_alikes, noisy, random, resting, weak, wired
from pipeline.models.known_heads.trained import BEGIN, Recipe, text, trained_models

__all__ = ["BEGIN", "FUNCTIONS", "KnownModel", "Plan", "Recipe", "known_models", "random", "text"]


def known_models(
    counts: Mapping[str, int],
    plan: Plan,
    recipe: Recipe,
    sentences: Int[Tensor, "batch position"],
    generator: Generator,
) -> Iterator[KnownModel]:
    """Yield models of every kind.

    Args:
        counts: how many, by kind.
        plan: how large they are, and how heads are planted.
        recipe: how those of the kind `trained` are trained.
        sentences: on which heads that were planted in noise must still attend as planted.
        generator: decides it all.
    """
    yield from wired(plan, counts["wired"], generator)
    yield from disguised(plan, counts["disguised"], generator)
    yield from weak(plan, counts["weak"], generator)
    yield from resting(plan, counts["resting"], generator)
    yield from noisy(plan, counts["noisy"], sentences, generator)
    yield from trained_models(plan, counts["trained"], recipe, generator)
    yield from look_alikes(plan, counts["look_alike"], generator)
