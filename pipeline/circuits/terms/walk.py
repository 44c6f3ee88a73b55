"""A transformer taken layer by layer: what a layer reads is known by source, and only that layer is held in float64.

A trace of the whole keeps every layer's scores of all sequences, which a deep model has no memory for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.terms.sources import (
    QueriesKeys,
    Sources,
    after_layer,
    early_layers_merged,
    first_sources,
    queries_keys,
    sources_read,
)
from pipeline.circuits.transformer.forward import check, embed, run_layer
from pipeline.circuits.transformer.weights import Weights


@dataclass(frozen=True)
class Layer:
    """One layer of a transformer on some sequences."""

    weights: Weights  # with this layer alone, over the tokens that occur, float64
    before: Float[Tensor, "batch position d_model"]  # the stream it reads
    after: Float[Tensor, "batch position d_model"]  # the stream it leaves
    sources: Sources  # of the stream it reads
    computed: dict[str, Tensor]  # by it, as Trace names it, but for scores and pattern
    at_once: int  # sequences

    def queries_keys(self, heads: slice = slice(None)) -> QueriesKeys:
        """Return what each source gives queries and keys of some heads, [batch, head, position, d_head]."""
        scale = self.computed.get("ln1_scale")
        whole: QueriesKeys = {}
        for start in range(0, len(self.before), self.at_once):
            some = slice(start, start + self.at_once)
            sources = {name: written[some] for name, written in self.sources.items()}
            read = sources_read(self.weights, sources, None if scale is None else scale[some])
            for name, (query, key) in queries_keys(self.weights, read, heads).items():
                if name not in whole:
                    shape = len(self.before), *query.shape[1:]
                    whole[name] = query.new_empty(shape), key.new_empty(shape)
                whole[name][0][some], whole[name][1][some] = query, key
        return whole


def walk(weights: Weights, tokens: Int[Tensor, "batch position"], at_once: int, apart: int) -> Iterator[Layer]:
    """Run a transformer on sequences and yield its layers in turn.

    Holds, in float64, one layer's parameters, its attention on `at_once` sequences, and [position, d_model] of
    each source of every sequence: of (2 apart + 5), and of n_heads more at layer 1.

    Args:
        weights: the transformer, in any precision.
        tokens: of the sequences.
        at_once: sequences that attend at a time; bounds memory, not the result.
        apart: see `early_layers_merged`.

    Raises:
        ValueError: as of `forward`.
    """
    check(weights, tokens)
    present, tokens = tokens.unique(return_inverse=True)
    weights = of_tokens(weights, present)
    for layer in range(weights.n_layers):
        alone = weights.one_layer(layer).double()
        if layer == 0:
            resid, scale = embed(alone, tokens)
            sources = first_sources(alone, tokens, scale)
        after, computed = _run(alone, resid, at_once)
        yield Layer(alone, resid, after, sources, computed, at_once)
        sources = early_layers_merged(after_layer(alone, sources, computed, layer), layer + 1, apart)
        resid = after


def of_tokens(weights: Weights, tokens: Int[Tensor, " token"]) -> Weights:
    """Return the transformer that knows only these tokens, numbered anew."""
    b_U = None if weights.b_U is None else weights.b_U[tokens]
    return replace(weights, W_E=weights.W_E[tokens], W_U=weights.W_U[:, tokens], b_U=b_U)


def _run(
    alone: Weights, resid: Float[Tensor, "batch position d_model"], at_once: int
) -> tuple[Float[Tensor, "batch position d_model"], dict[str, Tensor]]:
    """Run the only layer: the stream after it, and what it computed, but for the large maps."""
    streams, parts = [], []
    for some in resid.split(at_once):
        after, computed = run_layer(alone, some, 0)
        streams.append(after)
        parts.append({name: value for name, value in computed.items() if name not in ("scores", "pattern")})
    return torch.cat(streams), {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
