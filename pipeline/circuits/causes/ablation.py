"""What the loss does when one head writes something else.

All that comes after the change is computed anew, through any norms and feed-forward parts. Biases of values
and of the output are constants of the layer, not of a head: no ablation takes them away.
"""

from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from pipeline.circuits.transformer.forward import Trace, forward, run_layer, unembed
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights

METHODS = ("zero", "mean", "resample", "pattern_preserving", "random_direction")


def every_ablation(
    weights: Weights, tokens: Tensor, heads: Iterable[Head], generator: Generator, batch: int
) -> tuple[Tensor, Tensor]:
    """Ablate each of some heads by each of METHODS.

    Args:
        weights: the transformer.
        tokens: [batch, position], at least two sequences.
        heads: which.
        generator: decides whose output stands in for whose, and the random directions; the same for every head.
        batch: sequences in one forward pass; bounds memory, not the result.

    Returns:
        Losses as `token_losses` gives them: [head, method, batch, position], and [batch, position] of the
        model as it is.
    """
    donors = derangement(len(tokens), generator)
    directions = random_directions((*tokens.shape, weights.d_model), generator).to(weights.W_E)
    parts = torch.arange(len(tokens)).split(batch)
    z = torch.cat([forward(weights, tokens[part]).z for part in parts])
    mean = z.mean((0, 3))
    ablated, whole = [], []
    for part in parts:
        trace, others = forward(weights, tokens[part]), (mean, z[donors[part]], directions[part])
        ablated.append(torch.stack([ablation_losses(weights, trace, head, *others) for head in heads]))
        whole.append(token_losses(trace.logits, trace.tokens))
    return torch.cat(ablated, 2), torch.cat(whole)


def derangement(n: int, generator: Generator) -> Tensor:
    """Draw another sentence for each of n: [n], a random permutation in one cycle, so that none keeps its own.

    Raises:
        ValueError: there is no other sentence.
    """
    if n < 2:
        raise ValueError(
            f"{n} sentence is too few: a head's output is taken from another one; draw 2 (probe.sentences)"
        )
    order = torch.randperm(n, generator=generator)
    return torch.empty_like(order).index_copy(0, order, order.roll(1))


def random_directions(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw unit vectors [*shape] along the last axis, every direction alike."""
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1)


def changes(
    weights: Weights, z: Tensor, head: Head, mean: Tensor, donated: Tensor, directions: Tensor
) -> dict[str, Tensor]:
    """What each method of ablation adds to the output of a layer's attention, to change one of its heads.

    Args:
        weights: the transformer.
        z: [batch, layer, head, position, d_head], of a Trace.
        head: (layer, head).
        mean: [layer, head, d_head], of z, over all sentences and positions.
        donated: z of other sentences, as z.
        directions: [batch, position, d_model], unit vectors.

    Returns:
        method: [batch, position, d_model]. `pattern_preserving` adds what `zero` does; see `ablation_losses`.
        `random_direction`, the control, leaves the head as it is and takes away vectors as long as its output.

    Source: zero and pattern-preserving: Olsson et al. 2022, "In-context Learning and Induction Heads"; mean
    and resample: Chan et al. 2022, "Causal Scrubbing".
    """
    own, W_O = z[:, *head] @ weights.W_O[head], weights.W_O[head]
    return {
        "zero": -own,
        "mean": mean[head] @ W_O - own,
        "resample": donated[:, *head] @ W_O - own,
        "pattern_preserving": -own,
        "random_direction": -own.norm(dim=-1, keepdim=True) * directions,
    }


def ablation_losses(
    weights: Weights, trace: Trace, head: Head, mean: Tensor, donated: Tensor, directions: Tensor
) -> Tensor:
    """Losses with one head ablated by each of METHODS: [method, batch, position]; arguments as in `changes`."""
    layer, losses = head[0], {}
    for method, change in changes(weights, trace.z, head, mean, donated, directions).items():
        frozen = method == "pattern_preserving"
        if frozen and layer == weights.n_layers - 1:  # no later pattern could change
            losses[method] = losses["zero"]
        else:
            losses[method] = losses_with(weights, trace, layer, change, frozen)
    return torch.stack([losses[method] for method in METHODS])


def losses_with(weights: Weights, trace: Trace, layer: int, change: Tensor, frozen: bool = False) -> Tensor:
    """Losses [batch, position] when something joins the output of one layer's attention.

    Args:
        weights: the transformer.
        trace: its forward pass, unchanged.
        layer: which layer.
        change: [batch, position, d_model].
        frozen: whether later layers attend as they did.
    """
    if weights.ff_keys is None:  # layers only add to the stream, and so does the change
        resid = trace.resid[:, layer + 1] + change
    else:
        resid, _ = run_layer(weights, trace.resid[:, layer], layer, change, trace.pattern[:, layer])
    for later in range(layer + 1, weights.n_layers):
        resid, _ = run_layer(weights, resid, later, frozen=trace.pattern[:, later] if frozen else None)
    return token_losses(unembed(weights, resid), trace.tokens)
