"""How strongly each token answers to any vector of a kind: what the second notebook divides by.

A token with a long embedding comes first in every list. Dividing each token's side of a circuit by its
mean response to all the model's vectors of that kind takes this away; it favours tokens that training
hardly moved, so both lists are worth a look.

The notebook's recipe is: these normalisers, layer norms' gains left out (`raw`), the plain embedding, no
positions. Its mistakes are left out of it here:

- value-output pairs were sorted by the query-key matrix; here each circuit by its own entries;
- "reversed" lists began with the entries barely above a threshold tuned by hand for one head; here both
  ends are exact without any, and a threshold is a filter (its lists: the bottom end above `min_value`);
- the thresholds compared scores that lacked 1/sqrt(d_head);
- `only_english` replaced `only_ascii` instead of adding to it, took the mark of a leading space for a
  foreign letter (in the matrix version), and let [BEGIN] pass by stripping brackets;
- `exclude_brackets` did nothing alone, and let through what other filters had removed;
- `_fuzzy_eq`, which `exclude_fuzzy` needs, was never defined;
- a relative threshold excluded the largest entry itself where that was negative, a threshold of 0 counted
  as none, and the entries above it were sampled at random, with repetition;
- the width of the residual stream was read from the number of positions, equal in that one model;
- counts of tokens (`good_tokens`) were computed and never shown, pairs were shown without their values;
- every normaliser was formed for the whole vocabulary and all vectors at once, 5 to 40 GB.

Kept as it is: the mean counts only positive responses to feed-forward vectors, but all of them by size to
attention's.
"""

from collections.abc import Iterable, Iterator

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.tall import within_range

FLOOR = 1e-9  # added to every mean, so that a token that answers to nothing divides by something


def notebook_normalisers(layers: Iterable[Weights], tile: int) -> dict[str, Float64[Tensor, " item"]]:
    """Mean response of each item to each kind of vector, positive, by the matrix's name.

    W_Q, W_K, W_V: mean size of the embedding's product with every column of every head. W_O: of the
    unembedding's with every row. FF_key, FF_value, where there are any: mean positive part of the
    embedding's product with every neuron's key, of the unembedding's with every neuron's value.

    Args:
        layers: the model a layer at a time, each read as the circuits to divide are (gains, embedding).
        tile: items at a time; memory is tile x number of vectors of a kind in a layer.
    """
    # All layers have equally many vectors, so the mean over all is the mean of the layers' means.
    means = [_layer_means(layer, tile) for layer in layers]
    return {name: torch.stack([mean[name] for mean in means]).mean(0) + FLOOR for name in means[0]}


def mean_response(
    tokens: Float[Tensor, "token d_model"], vectors: Float[Tensor, "vector d_model"], tile: int, positive: bool = False
) -> Float64[Tensor, " token"]:
    """Mean over vectors of |token . vector|, or of its positive part.

    Args:
        tokens: their embeddings, or unembeddings.
        vectors: what they answer to.
        tile: tokens at a time.
        positive: count negative products as 0 instead of by their size.
    """

    reading, scale = within_range(vectors.to(tokens.dtype), tokens)

    def means() -> Iterator[Tensor]:
        for part in tokens.split(tile):
            products = part @ reading.T
            answers = products.clamp_min_(0) if positive else products.abs_()
            yield scale * reduce(answers.double(), "token vector -> token", "mean")

    return torch.cat(list(means()))


def _layer_means(weights: Weights, tile: int) -> dict[str, Float64[Tensor, " item"]]:
    columns = "layer head d_model d_head -> (layer head d_head) d_model"
    rows = "layer head d_head d_model -> (layer head d_head) d_model"
    out = rearrange(weights.W_U, "d_model token -> token d_model")
    means = {
        name: mean_response(weights.W_E, rearrange(getattr(weights, name), columns), tile)
        for name in ("W_Q", "W_K", "W_V")
    }
    means["W_O"] = mean_response(out, rearrange(weights.W_O, rows), tile)
    if weights.ff_keys is not None:
        neurons = "layer d_ff d_model -> (layer d_ff) d_model"
        means["FF_key"] = mean_response(weights.W_E, rearrange(weights.ff_keys, neurons), tile, positive=True)
        ff_values = rearrange(weights.parameter("ff_values"), neurons)
        means["FF_value"] = mean_response(out, ff_values, tile, positive=True)
    return means
