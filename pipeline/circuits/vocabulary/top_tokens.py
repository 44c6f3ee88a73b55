"""The tokens that a vector of weights points at most, and least."""

from collections.abc import Iterator

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

BLOCK = 64  # values whose strongest is found first


def top_tokens(
    components: Float[Tensor, "unit token"], k: int, mask: Bool[Tensor, " token"]
) -> Iterator[tuple[str, Int[Tensor, "unit k"], Float[Tensor, "unit k"]]]:
    """Yield each end's name, token ids and values, strongest first; equals by token id.

    Args:
        components: each vector's component on each token.
        k: tokens at each end; fewer if the mask leaves fewer.
        mask: tokens to consider.

    Raises:
        ValueError: the mask leaves no token.
    """
    ids = mask.nonzero()[:, 0]
    if len(ids) == 0:
        raise ValueError(f"top_tokens: the filters leave none of the {len(mask)} tokens; use fewer filters")
    considered = components if len(ids) == len(mask) else components[:, ids]
    for end, largest in (("top", True), ("bottom", False)):
        places = _strongest(considered, min(k, len(ids)), largest)
        yield end, ids[places], considered.gather(1, places)


def _strongest(values: Float[Tensor, "row place"], k: int, largest: bool) -> Int[Tensor, "row k"]:
    """Places of each row's k strongest values, in order, equals by place."""
    n_blocks = values.shape[1] // BLOCK
    if n_blocks <= k:
        return values.argsort(dim=1, descending=largest, stable=True)[:, :k]
    # The k strongest are in the k blocks whose own strongest are so, or in what is left over behind the blocks.
    blocks = rearrange(values[:, : n_blocks * BLOCK], "row (block place) -> row block place", place=BLOCK)
    best = blocks.amax(2) if largest else blocks.amin(2)
    bests, chosen = best.topk(k + 1, dim=1, largest=largest)
    chosen = chosen[:, :k].sort(dim=1).values
    inside = repeat(torch.arange(BLOCK, device=values.device), "place -> row block place", row=len(values), block=k)
    places = rearrange(chosen[:, :, None] * BLOCK + inside, "row block place -> row (block place)")
    behind = torch.arange(n_blocks * BLOCK, values.shape[1], device=values.device)
    places = torch.cat([places, behind.expand(len(values), -1)], dim=1)
    strongest = values.gather(1, places).topk(k + 1, dim=1, largest=largest)
    places = places.gather(1, strongest.indices[:, :k])
    # Which of two equal values or blocks topk takes is not defined: there, sort the whole row.
    tied = (bests[:, k - 1] == bests[:, k]) | (strongest.values[:, 1:] == strongest.values[:, :-1]).any(1)
    places[tied] = values[tied].argsort(dim=1, descending=largest, stable=True)[:, :k]
    return places
