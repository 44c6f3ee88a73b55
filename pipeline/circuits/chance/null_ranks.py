"""What chance gives for top-k accuracies: shares of tokens that are among the largest of their own row of a circuit."""

import math
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch
from jaxtyping import Float, Float64, Int
from scipy import special
from torch import Generator, Tensor

from pipeline.circuits.chance.random_matrices import gaussian
from pipeline.circuits.scores.copying import diagonal_rank, spread

Name = TypeVar("Name", bound=Hashable)
MOST = 30  # tokens; what is rarer than so many by chance is not told apart
SEVERAL = 8  # times the columns that `diagonal_rank` looks at first; bounds time, not the result


def largest(
    rows: Float[Tensor, "d_vocab rank"], columns: Float[Tensor, "d_vocab rank"], tokens: Int[Tensor, " row"], tile: int
) -> Int[Tensor, " row"]:
    """Return the column of the largest entry in some rows of a circuit.

    Args:
        rows: the circuit is rows @ columns^T.
        columns: as many.
        tokens: which rows.
        tile: rows held at a time; bounds memory, not the result.
    """
    return torch.cat([(rows[part] @ columns.mT).argmax(-1) for part in tokens.split(tile)])


def relabelled(columns: Int[Tensor, "... row"], d_vocab: int) -> Float64[Tensor, "... count"]:
    """How probable so many tokens are largest in their own row, if the tokens of one side change places: exactly.

    With c(j) rows whose largest entry is in column j, m given rows with m different columns all have their own
    token there with probability (d_vocab - m)! / d_vocab!, and there are e(m) such sets, the elementary symmetric
    polynomial of the c(j). These are the binomial moments B(m) of the number of tokens, and
    P(number >= k) = sum over m >= k of (-1)^(m - k) C(m - 1, k - 1) B(m).

    Exact where one side knows nothing of the other; where both read one embedding, a random head may favour all
    tokens' own places a little, or shun them.

    Args:
        columns: of the largest entries of rows, from `largest`.
        d_vocab: tokens that change places.

    Returns:
        Of at least k tokens, for k from 0 to MOST.

    Source: the problem of matchings; Riordan 1958, "An Introduction to Combinatorial Analysis", chapters 3 and 7.
    """
    shape, terms = columns.shape[:-1], min(2 * MOST, d_vocab)
    counts = torch.zeros(*shape, d_vocab, dtype=torch.float64)
    counts = counts.scatter_add(-1, columns, torch.ones_like(columns, dtype=torch.float64))
    moments = torch.nn.functional.one_hot(torch.zeros(shape, dtype=torch.int64), terms + 1).double()
    # With one more column of c rows, e(m) grows by c e(m - 1); over d_vocab^m, no number is too large.
    for count in (counts / d_vocab).unbind(-1):
        moments[..., 1:] += count[..., None] * moments[..., :-1].clone()
    m = torch.arange(terms + 1, dtype=torch.float64)
    moments = moments * torch.cat([torch.ones(1), d_vocab / (d_vocab - m[:-1])]).cumprod(0)
    tails = [torch.ones_like(moments[..., 0])]
    for k in range(1, min(MOST, d_vocab) + 1):
        signs = torch.from_numpy(special.comb(m[k:] - 1, k - 1)) * (-1) ** (m[k:] - k)
        tails.append((moments[..., k:] * signs).sum(-1).clamp(0, 1))
    return torch.stack(tails, -1)


def gaussians(
    W_E: Float[Tensor, "d_vocab d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    d_head: int,
    tokens: Int[Tensor, " row"],
    tile: int,
    most: int,
    draws: int,
    generator: Generator,
) -> Int[Tensor, "draw row"]:
    """Rank the diagonal of the OV circuits of heads with Gaussian W_V and W_O in the same model.

    Args:
        W_E: the model's embedding.
        W_U: its unembedding.
        d_head: rank of the random heads.
        tokens: which rows are ranked.
        tile: rows held at a time; bounds memory, not the result.
        most: where to stop counting.
        draws: how many.
        generator: decides the draws.

    Returns:
        See `copying.diagonal_rank`.
    """
    # Nearly all rows surpass their diagonal `most` times among some columns, and need no others formed.
    some = torch.cat([tokens, spread(W_U.shape[1], SEVERAL * math.isqrt(most * W_U.shape[1]))]).unique()
    ranks, read, written, place = [], W_E[tokens], W_U.mT[some], torch.searchsorted(some, tokens)
    for _ in range(draws):
        W_V, W_O = gaussian(2, W_E.shape[1], d_head, generator=generator).to(W_E.dtype)
        rows = read @ W_V
        rank = diagonal_rank(rows, written @ W_O, place, tile, most)
        left = (rank < most).nonzero()[:, 0]
        rank[left] = diagonal_rank(rows[left] @ W_O.mT, W_U.mT, tokens[left], tile, most)
        ranks.append(rank)
    return torch.stack(ranks)


def gaussian_positions(
    W_pos: Float[Tensor, "n_ctx d_model"],
    d_head: int,
    measures: Mapping[Name, tuple[Callable[[Tensor, Tensor], Tensor], int | None]],
    draws: int,
    generator: Generator,
) -> dict[Name, Float[Tensor, " draw"]]:
    """Draw scores of position-position circuits of heads with Gaussian W_Q and W_K in the same model.

    Args:
        W_pos: the model's positions.
        d_head: rank of the random heads.
        measures: by any name, a score of both factors of a circuit, and how many of the first positions it is of;
            None for all.
        draws: how many.
        generator: decides the draws.
    """
    scores = []
    for _ in range(draws):
        W_Q, W_K = gaussian(2, W_pos.shape[1], d_head, generator=generator).to(W_pos.dtype)
        queries, keys = W_pos @ W_Q, W_pos @ W_K
        scores.append(torch.stack([score(queries[:most], keys[:most]) for score, most in measures.values()]))
    return dict(zip(measures, torch.stack(scores, 1), strict=True))
