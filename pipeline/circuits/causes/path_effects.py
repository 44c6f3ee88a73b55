"""What each path does to the logit of the correct token and to the loss; see `paths`.

All is per token: `logits` are the paths' logits where each token is predicted, in the order of `path_names`; they
sum to the model's. `targets` are the correct tokens.
"""

import math

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Float64, Int
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.circuits.causes.paths import DIRECT, path_outputs
from pipeline.circuits.causes.shapley import exact_shares, sampled_shares
from pipeline.circuits.scores.held import Held

BLOCK = 64  # tokens whose logits stay in the processor's cache while paths are added to them


Logits = Float[Tensor, "path token d_vocab"]
Targets = Int[Tensor, " token"]


def predictions(held: Held) -> tuple[Logits, Targets]:
    """Return the logits and the targets of every token that is predicted."""
    streams = held.unscaled(path_outputs(held))[:, :, :-1]
    logits = rearrange(streams, "batch path position d_model -> path (batch position) d_model") @ held.read.W_U
    if held.logit_constant is not None:
        logits[0] += held.logit_constant
    return logits, rearrange(held.trace.tokens[:, 1:], "batch position -> (batch position)")


def placed(values: Float[Tensor, "... token"], batch: int) -> Float64[Tensor, "... {batch} position"]:
    """Return what each predicted token has by sentence and position; NaN at position 0."""
    grid = rearrange(values.double(), "... (batch position) -> ... batch position", batch=batch)
    return functional.pad(grid, (1, 0), value=torch.nan)


def contributions(logits: Logits, targets: Targets) -> Float64[Tensor, "path token"]:
    """Each path's logit of the correct token minus its mean over the vocabulary."""
    return torch.stack([_picked(path, targets) - path.mean(-1) for path in logits]).double()


def losses(logits: Float[Tensor, "token d_vocab"], targets: Targets) -> Float64[Tensor, " token"]:
    """The loss of each token, nats."""
    return (logits.logsumexp(-1) - _picked(logits, targets)).double().clamp(min=0)  # rounding, of a sure model


def losses_removed(logits: Logits, targets: Targets) -> Float64[Tensor, "path token"]:
    """What each token's loss gains when a path is removed, all others as they are, nats."""
    whole = logits.sum(0)
    return torch.stack([losses(whole - path, targets) for path in logits]) - losses(whole, targets)


def shares(
    logits: Logits,
    targets: Targets,
    classes: Bool[Tensor, "token_class token"],
    pairs: int,
    confidence: float,
    generator: Generator,
) -> tuple[Float64[Tensor, "path token_class"], Float64[Tensor, "path token_class"]]:
    """Each path's Shapley share of the fall of the loss from even guessing to the model's.

    Args:
        logits: of each path.
        targets: the correct tokens.
        classes: the tokens that each class averages over.
        pairs: sampled orders of the paths; as many reversed ones come with them.
        confidence: of the intervals.
        generator: decides the orders.

    Returns:
        Shares, and half the width of their intervals over orders, nats per token. The shares of a class sum to
        the fall.
    """
    weight = classes.double() / classes.sum(-1, keepdim=True)
    whole = losses(logits.sum(0), targets)

    def walk(order: Tensor) -> Tensor:
        blocks = zip(logits.split(BLOCK, 1), targets.split(BLOCK), strict=True)
        walked = torch.cat([_walked(*block, order) for block in blocks], 1)
        walked[-1] = whole  # the same whatever the order of summation
        return -einsum(walked, weight, "step token, token_class token -> step token_class")

    return sampled_shares(walk, len(logits), pairs, confidence, generator)


def _walked(logits: Logits, targets: Targets, order: Int[Tensor, " path"]) -> Float64[Tensor, "step token"]:
    """Losses as paths join one by one, from none to all."""
    running = torch.zeros_like(logits[0])
    walked = [torch.full(targets.shape, math.log(logits.shape[-1]), dtype=torch.float64)]
    for path in order.tolist():
        running += logits[path]
        walked.append(losses(running, targets))
    return torch.stack(walked)


def groups_of(paths: list[tuple[str, ...]]) -> dict[str, Int[Tensor, " path"]]:
    """Sort paths of at most two layers by the layers whose heads they pass: group -> its paths.

    `direct` passes no head, `layer_0` and `layer_1` one of that layer, `virtual` one of each.
    """
    places_of: dict[str, list[int]] = {}
    for place, path in enumerate(paths):
        layers = [layer for layer, passed in enumerate(path) if passed != DIRECT]
        group = "virtual" if len(layers) == 2 else f"layer_{layers[0]}" if layers else DIRECT
        places_of.setdefault(group, []).append(place)
    return {group: torch.tensor(places) for group, places in places_of.items()}


def group_worths(logits: Logits, targets: Targets, groups: dict[str, Tensor]) -> Float64[Tensor, "coalition token"]:
    """The fall of each token's loss, from even guessing, to what each coalition of groups predicts.

    Returns:
        Nats, for `exact_shares`: in coalition c are the groups whose bits are set in c, in the order of `groups`.
    """
    sums = torch.stack([logits[paths].sum(0) for paths in groups.values()])
    worths = []
    for coalition in range(2 ** len(sums)):
        members = [group for group in range(len(sums)) if coalition >> group & 1]
        worths.append(math.log(logits.shape[-1]) - losses(sums[members].sum(0), targets))
    return torch.stack(worths)


def group_shares(worths: Float64[Tensor, "coalition token"]) -> dict[str, Float64[Tensor, "group token"]]:
    """What each group earns: its Shapley `share`, and what it adds to some coalitions.

    `first`: to nothing; `after_direct`: to the direct path alone (NaN for that itself); `last`: to all others.

    Args:
        worths: of `group_worths`, the first group being the direct path.

    Returns:
        Nats.

    Source: what heads add after the direct path, and after all others: Elhage et al. 2021, "A Mathematical
    Framework for Transformer Circuits".
    """
    bits = 1 << torch.arange(len(worths).bit_length() - 1)
    after_direct = worths[bits | 1] - worths[1]
    after_direct[0] = torch.nan
    return {
        "share": exact_shares(worths),
        "first": worths[bits] - worths[0],
        "after_direct": after_direct,
        "last": worths[-1] - worths[len(worths) - 1 - bits],
    }


def _picked(logits: Float[Tensor, "... token d_vocab"], targets: Targets) -> Float[Tensor, "... token"]:
    """The logits of the correct tokens."""
    places = repeat(targets, "token -> token 1")
    return rearrange(logits.gather(-1, places.expand(*logits.shape[:-1], 1)), "... token 1 -> ... token")
