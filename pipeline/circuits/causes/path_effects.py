"""What each path does to the logit of the correct token and to the loss; see `paths`.

All is per token: `logits` are [path, token, d_vocab], the paths' logits where each token is predicted, in the
order of `path_names`; they sum to the model's. `targets` [token] are the correct tokens.
"""

import math

import torch
from einops import einsum, rearrange, repeat
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.circuits.causes.paths import DIRECT, path_outputs
from pipeline.circuits.causes.shapley import exact_shares, sampled_shares
from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.weights import Weights

BLOCK = 64  # tokens whose logits stay in the processor's cache while paths are added to them


def predictions(weights: Weights, trace: Trace) -> tuple[Tensor, Tensor]:
    """Return the logits [path, token, d_vocab] and the targets [token] of every token that is predicted."""
    streams = path_outputs(weights, trace)[:, :, :-1]
    streams = rearrange(streams, "batch path position d_model -> path (batch position) d_model")
    return streams @ weights.W_U, rearrange(trace.tokens[:, 1:], "batch position -> (batch position)")


def placed(values: Tensor, batch: int) -> Tensor:
    """Return what each predicted token has, [..., token], as [..., batch, position]; NaN at position 0."""
    grid = rearrange(values.double(), "... (batch position) -> ... batch position", batch=batch)
    return functional.pad(grid, (1, 0), value=torch.nan)


def contributions(logits: Tensor, targets: Tensor) -> Tensor:
    """Each path's logit of the correct token minus its mean over the vocabulary: [path, token], float64."""
    return torch.stack([_picked(path, targets) - path.mean(-1) for path in logits]).double()


def losses(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss [token] of logits [token, d_vocab]: nats, float64."""
    return (logits.logsumexp(-1) - _picked(logits, targets)).double().clamp(min=0)  # rounding, of a sure model


def losses_removed(logits: Tensor, targets: Tensor) -> Tensor:
    """What each token's loss gains when a path is removed, all others as they are: [path, token], nats."""
    whole = logits.sum(0)
    return torch.stack([losses(whole - path, targets) for path in logits]) - losses(whole, targets)


def shares(logits: Tensor, targets: Tensor, classes: Tensor, pairs: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each path's Shapley share of the fall of the loss from even guessing to the model's.

    Args:
        logits: [path, token, d_vocab].
        targets: [token].
        classes: bool [class, token], the tokens that each class averages over.
        pairs: sampled orders of the paths; as many reversed ones come with them.
        generator: decides the orders.

    Returns:
        Shares, and half the width of their 95 % intervals over orders, [path, class] each, nats per token,
        float64. The shares of a class sum to the fall.
    """
    weight = classes.double() / classes.sum(-1, keepdim=True)
    whole = losses(logits.sum(0), targets)

    def walk(order: Tensor) -> Tensor:
        blocks = zip(logits.split(BLOCK, 1), targets.split(BLOCK), strict=True)
        walked = torch.cat([_walked(*block, order) for block in blocks], 1)
        walked[-1] = whole  # the same whatever the order of summation
        return -einsum(walked, weight, "step token, kind token -> step kind")

    return sampled_shares(walk, len(logits), pairs, generator)


def _walked(logits: Tensor, targets: Tensor, order: Tensor) -> Tensor:
    """Losses [path + 1, token] as paths join one by one."""
    running = torch.zeros_like(logits[0])
    walked = [torch.full(targets.shape, math.log(logits.shape[-1]), dtype=torch.float64)]
    for path in order.tolist():
        running += logits[path]
        walked.append(losses(running, targets))
    return torch.stack(walked)


def groups_of(paths: list[tuple[str, ...]]) -> dict[str, Tensor]:
    """Sort paths of at most two layers by the layers whose heads they pass: group -> its paths.

    `direct` passes no head, `layer_0` and `layer_1` one of that layer, `virtual` one of each.
    """
    found: dict[str, list[int]] = {}
    for place, path in enumerate(paths):
        layers = [layer for layer, passed in enumerate(path) if passed != DIRECT]
        group = "virtual" if len(layers) == 2 else f"layer_{layers[0]}" if layers else DIRECT
        found.setdefault(group, []).append(place)
    return {group: torch.tensor(places) for group, places in found.items()}


def group_worths(logits: Tensor, targets: Tensor, groups: dict[str, Tensor]) -> Tensor:
    """The fall of each token's loss, from even guessing, to what each coalition of groups predicts.

    Returns:
        [coalition, token], nats, float64, for `exact_shares`: in coalition c are the groups whose bits are
        set in c, in the order of `groups`.
    """
    sums = torch.stack([logits[paths].sum(0) for paths in groups.values()])
    worths = []
    for coalition in range(2 ** len(sums)):
        members = [group for group in range(len(sums)) if coalition >> group & 1]
        worths.append(math.log(logits.shape[-1]) - losses(sums[members].sum(0), targets))
    return torch.stack(worths)


def group_shares(worths: Tensor) -> dict[str, Tensor]:
    """What each group earns: its Shapley `share`, and what it adds to some coalitions.

    `first`: to nothing; `after_direct`: to the direct path alone (NaN for that itself); `last`: to all others.

    Args:
        worths: [coalition, token], of `group_worths`, the first group being the direct path.

    Returns:
        [group, token] each, nats.

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


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    """The logits [..., token] of the correct tokens."""
    places = repeat(targets, "token -> token 1")
    return rearrange(logits.gather(-1, places.expand(*logits.shape[:-1], 1)), "... token 1 -> ... token")
