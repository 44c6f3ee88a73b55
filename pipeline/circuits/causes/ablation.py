"""What the loss does when one head writes something else.

All that comes after the change is computed anew, through any norms and feed-forward parts. Biases of values
and of the output are constants of the layer, not of a head: no ablation takes them away.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import Trace, forward, run_layer, unembed
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights

METHODS = ("zero", "mean", "resample", "pattern_preserving", "random_direction")


def every_ablation(
    weights: Weights, tokens: Int[Tensor, "batch position"], heads: Iterable[Head], generator: Generator, at_once: int
) -> tuple[Float64[Tensor, "head method batch position"], Float64[Tensor, "batch position"]]:
    """Ablate each of some heads by each of METHODS.

    Args:
        weights: the transformer.
        tokens: of at least two sequences.
        heads: which.
        generator: decides whose output stands in for whose, and the random directions; the same for every head.
        at_once: sequences in one forward pass; bounds memory, not the result.

    Returns:
        Losses as `token_losses` gives them, and those of the model as it is.

    Raises:
        ValueError: there is no other sequence whose output could stand in.
    """
    if len(tokens) < 2:
        raise ValueError(
            f"{len(tokens)} sentence is too few: a head's output is taken from another one; draw 2 (probe.sentences)"
        )
    donors = derangement(len(tokens), generator)
    directions = random_directions((*tokens.shape, weights.d_model), generator).to(weights.W_E)
    parts = torch.arange(len(tokens)).split(at_once)
    z = torch.cat([forward(weights, tokens[part]).z for part in parts])
    mean = z.mean((0, 3))
    ablated, whole = [], []
    for part in parts:
        trace, replacements = forward(weights, tokens[part]), (mean, z[donors[part]], directions[part])
        ablated.append(torch.stack([ablation_losses(weights, trace, head, *replacements) for head in heads]))
        whole.append(token_losses(trace.logits, trace.tokens))
    return torch.cat(ablated, 2), torch.cat(whole)


def random_directions(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "... d_model"]:
    """Draw unit vectors, a tensor of this shape, every direction alike."""
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1)


def changes(
    weights: Weights,
    z: Float[Tensor, "batch layer head position d_head"],
    head: Head,
    mean: Float[Tensor, "layer head d_head"],
    donated: Float[Tensor, "batch layer head position d_head"],
    directions: Float[Tensor, "batch position d_model"],
) -> dict[str, Float[Tensor, "batch position d_model"]]:
    """What each method of ablation adds to the output of a layer's attention, to change one of its heads.

    Args:
        weights: the transformer.
        z: of a Trace.
        head: (layer, head).
        mean: of z, over all sentences and positions.
        donated: z of other sentences.
        directions: unit vectors.

    Returns:
        By method. `pattern_preserving` adds what `zero` does; see `ablation_losses`.
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
    weights: Weights,
    trace: Trace,
    head: Head,
    mean: Float[Tensor, "layer head d_head"],
    donated: Float[Tensor, "batch layer head position d_head"],
    directions: Float[Tensor, "batch position d_model"],
) -> Float64[Tensor, "method batch position"]:
    """Losses with one head ablated by each of METHODS; arguments as in `changes`."""
    layer, losses = head[0], {}
    for method, change in changes(weights, trace.z, head, mean, donated, directions).items():
        frozen = method == "pattern_preserving"
        if frozen and layer == weights.n_layers - 1:  # no later pattern could change
            losses[method] = losses["zero"]
        else:
            losses[method] = losses_with(weights, trace, layer, change, frozen)
    return torch.stack([losses[method] for method in METHODS])


def losses_with(
    weights: Weights, trace: Trace, layer: int, change: Float[Tensor, "batch position d_model"], frozen: bool = False
) -> Float64[Tensor, "batch position"]:
    """Losses when something joins the output of one layer's attention.

    Args:
        weights: the transformer.
        trace: its forward pass, unchanged.
        layer: which layer.
        change: what joins.
        frozen: whether later layers attend as they did.
    """
    if weights.ff_keys is None:  # layers only add to the stream, and so does the change
        resid = trace.resid[:, layer + 1] + change
    else:
        resid, _ = run_layer(weights, trace.resid[:, layer], layer, change, trace.pattern[:, layer])
    for later in range(layer + 1, weights.n_layers):
        resid, _ = run_layer(weights, resid, later, frozen=trace.pattern[:, later] if frozen else None)
    return token_losses(unembed(weights, resid), trace.tokens)
