"""A transformer taken layer by layer: what a layer reads is known by source, and only that layer is held in float64.

A trace of the whole keeps every layer's scores of all sequences, which a deep model has no memory for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.circuits.terms.terms import Parts, Sides, after_layer, first_parts, merged, projected, read_parts
from pipeline.circuits.transformer.forward import check, embed, run_layer
from pipeline.circuits.transformer.weights import Weights


@dataclass(frozen=True)
class Layer:
    """One layer of a transformer on some sequences."""

    weights: Weights  # with this layer alone, over the tokens that occur, float64
    before: Tensor  # [batch, position, d_model], the stream it reads
    after: Tensor  # [batch, position, d_model], the stream it leaves
    parts: Parts  # the sources of the stream it reads
    kept: dict[str, Tensor]  # what it computed, as Trace names it, but for scores and pattern
    batch: int  # sequences at a time

    def sides(self, heads: slice = slice(None)) -> Sides:
        """Return what each source gives queries and keys of some heads, [batch, head, position, d_head]."""
        scale = self.kept.get("ln1_scale")
        whole: Sides = {}
        for start in range(0, len(self.before), self.batch):
            some = slice(start, start + self.batch)
            parts = {name: x[some] for name, x in self.parts.items()}
            read = read_parts(self.weights, parts, None if scale is None else scale[some])
            for name, pair in projected(self.weights, read, heads).items():
                if name not in whole:
                    whole[name] = tuple(side.new_empty(len(self.before), *side.shape[1:]) for side in pair)
                for side, portion in zip(whole[name], pair, strict=True):
                    side[some] = portion
        return whole


def walk(weights: Weights, tokens: Tensor, batch: int, apart: int) -> Iterator[Layer]:
    """Run a transformer on sequences and yield its layers in turn.

    Holds, in float64, one layer's parameters, its attention on `batch` sequences, and [position, d_model] of
    each source of every sequence: of (2 apart + 5), and of n_heads more at layer 1.

    Args:
        weights: the transformer, in any precision.
        tokens: [batch, position], int64.
        batch: sequences that attend at a time; bounds memory, not the result.
        apart: see `merged`.

    Raises:
        ValueError: as of `forward`.
    """
    check(weights, tokens)
    present, tokens = tokens.unique(return_inverse=True)
    weights = of_tokens(weights, present)
    for layer in range(weights.n_layers):
        one = weights.one_layer(layer).double()
        if layer == 0:
            resid, scale = embed(one, tokens)
            parts = first_parts(one, tokens, scale)
        after, kept = _run(one, resid, batch)
        yield Layer(one, resid, after, parts, kept, batch)
        parts = merged(after_layer(one, parts, kept, layer), layer + 1, apart)
        resid = after


def of_tokens(weights: Weights, tokens: Tensor) -> Weights:
    """Return the transformer that knows only these tokens [token], numbered anew."""
    b_U = None if weights.b_U is None else weights.b_U[tokens]
    return replace(weights, W_E=weights.W_E[tokens], W_U=weights.W_U[:, tokens], b_U=b_U)


def _run(one: Weights, resid: Tensor, batch: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Run the only layer: the stream after it, and what it computed, but for the large maps."""
    streams, computed = [], []
    for part in resid.split(batch):
        after, kept = run_layer(one, part, 0)
        streams.append(after)
        computed.append({name: value for name, value in kept.items() if name not in ("scores", "pattern")})
    return torch.cat(streams), {name: torch.cat([kept[name] for kept in computed]) for name in computed[0]}
