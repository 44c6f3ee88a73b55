"""Sets of heads that do the same, and others to hold beside them: redundant heads matter only together."""

from collections.abc import Sequence

import torch
from einops import einsum
from jaxtyping import Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.layers import head_outputs
from pipeline.circuits.transformer.weights import Heads, Weights


def output_products(
    weights: Weights, tokens: Int[Tensor, "batch position"], at_once: int
) -> Float64[Tensor, "layer head other"]:
    """Inner products of what two heads of a layer write, averaged over sentences and positions.

    Args:
        weights: the transformer.
        tokens: of the sequences.
        at_once: sequences in one forward pass; bounds memory, not the result.
    """
    products = torch.zeros(weights.n_layers, weights.n_heads, weights.n_heads, dtype=torch.float64)
    for part in tokens.split(at_once):
        trace = forward(weights, part)
        for layer in range(weights.n_layers):
            outputs = head_outputs(weights, trace.z[:, layer], layer)
            axes = "batch head position d_model, batch other position d_model -> head other"
            products[layer] += einsum(outputs, outputs, axes).double()
    return products / tokens.numel()


def lengths(products: Float64[Tensor, "layer head other"], heads: Heads) -> Float64[Tensor, " layer"]:
    """Root mean square length of what the heads of a set write together, in each layer.

    Args:
        products: of `output_products`.
        heads: the set.
    """
    chosen = torch.zeros(products.shape[:2], dtype=products.dtype)
    for head in heads:
        chosen[head] = 1
    return einsum(chosen, products, chosen, "layer head, layer head other, layer other -> layer").clamp(min=0).sqrt()


def matched_sets(
    heads: Heads, products: Float64[Tensor, "layer head other"], kept: int, candidates: int, generator: Generator
) -> list[Heads]:
    """Draw sets to hold beside a set: as many other heads of each layer, that write vectors about as long.

    In a layer with too few others all of them are taken, and the rest is drawn from the set's own heads.

    Args:
        heads: the set.
        products: of `output_products`.
        kept: most sets returned; of those drawn, the ones whose `lengths` differ least from the set's, summed over
            layers. Fewer where fewer are different: none where every head of its layers is in the set.
        candidates: sets drawn.
        generator: decides which.

    Returns:
        Sets, the closest first, each sorted.
    """
    n_heads, aim = products.shape[1], lengths(products, heads)
    by_layer = {layer: [head for at, head in heads if at == layer] for layer, _ in sorted(heads)}
    drawn: dict[Heads, float] = {}
    for _ in range(candidates):
        members = []
        for layer, own in by_layer.items():
            order = torch.randperm(n_heads, generator=generator).tolist()
            others_first = sorted(order, key=own.__contains__)  # stable: in their random order
            members += [(layer, head) for head in others_first[: len(own)]]
        members = tuple(sorted(members))
        drawn.setdefault(members, float((lengths(products, members) - aim).abs().sum()))
    drawn.pop(tuple(sorted(heads)), None)
    return sorted(drawn, key=drawn.__getitem__)[:kept]


def area_under(sizes: Sequence[int], shares: Float64[Tensor, "*axes size"]) -> Float64[Tensor, "*axes"]:
    """Mean share over the sizes of sets, by the trapezoid rule from the first size to the last.

    Args:
        sizes: rising; of one alone, the area is its share.
        shares: of the whole effect, of the set of each size.

    Returns:
        1 where sets of every size have the whole effect; about 0 where only the largest has any.
    """
    if len(sizes) == 1:
        return shares[..., 0]
    at = torch.as_tensor(sizes, dtype=shares.dtype)
    return torch.trapezoid(shares, at) / (at[-1] - at[0])
