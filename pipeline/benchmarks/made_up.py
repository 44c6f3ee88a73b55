"""Made-up circuits and layers, to measure how long the exact search takes on circuits of a kind."""

import torch
from jaxtyping import Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights


def layer(
    d_vocab: int, d_model: int, n_heads: int, d_head: int, decay: float, layer: int, generator: torch.Generator
) -> Weights:
    """Return one layer of a model without norms whose unembedding is its embedding; all layers share the embedding.

    Args:
        d_vocab: tokens.
        d_model: width of the residual stream.
        n_heads: heads in the layer.
        d_head: width of each.
        decay: each singular value of a head's circuits over the one before it, nearly; 1 for random weights.
        layer: which; the generator, at its start, is passed over the layers before.
        generator: where everything comes from.
    """
    W_E = torch.randn(d_vocab, d_model, generator=generator)
    for _ in range(layer + 1):
        heads = torch.randn(4, 1, n_heads, d_model, d_head, generator=generator) / d_model**0.5
    W_Q, W_K, W_V, W_O = heads * decay ** (torch.arange(d_head) / 2)
    return Weights("none", W_E, W_E.T, W_Q, W_K, W_V, W_O.mT)


def circuit(
    d_vocab: int,
    rank: int,
    spectrum: Float64[Tensor, " direction"],
    spread: float,
    mixed: bool,
    generator: torch.Generator,
) -> tuple[Float64[Tensor, "{d_vocab} {rank}"], Float64[Tensor, "{d_vocab} {rank}"]]:
    """Return the factors of a circuit.

    Args:
        d_vocab: rows and columns of the circuit.
        rank: of the circuit.
        spectrum: how long an embedding is in each of n directions.
        spread: standard deviation of the logarithm of the tokens' norms, on top of chance.
        mixed: whether a random head reads one embedding on both sides, into `rank` dimensions; else the
            factors are two embeddings, of n = rank directions.
        generator: where everything comes from.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def embedding() -> Tensor:
        norms = torch.exp(spread * normal(d_vocab, 1))
        return normal(d_vocab, len(spectrum)).mul_(spectrum).mul_(norms)

    if not mixed:
        return embedding(), embedding()
    tokens = embedding()
    return tokens @ normal(len(spectrum), rank), tokens @ normal(len(spectrum), rank)
