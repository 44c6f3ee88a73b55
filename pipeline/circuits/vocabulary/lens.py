"""What a model's weights are read through before any circuit is formed: norms, embedding, vocabulary, filters."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import effective_embedding, gains_folded
from pipeline.circuits.vocabulary.token_filters import Counts, Filters, PairFilter, Texts


@dataclass(frozen=True)
class Lens:
    """A model as it is read. Vocabulary items are its tokens, and then the learned positions, if wanted."""

    weights: Weights  # norms folded in; rows of W_E are the vocabulary items
    n_tokens: int
    mask: Bool[Tensor, " item"]  # items that pass the token filters; positions always do
    allowed: PairFilter | None  # on ids of items; positions differ from everything but themselves
    ln_mode: str  # "raw" where the model has no norms
    emb_mode: str  # "embedding" where the model has no feed-forward part
    occurrences: Counts | None = None  # of each token in the text at hand; None where there is none
    means: dict[str, Float64[Tensor, " item"]] = field(
        default_factory=dict
    )  # see `normalisers`; empty if nothing is divided

    @property
    def n_positions(self) -> int:
        """Number of positions among the items."""
        return len(self.mask) - self.n_tokens


def lens_of(
    weights: Weights,
    texts: Texts,
    ln_mode: str,
    emb_mode: str,
    positions: bool,
    filters: Filters,
    occurrences: Counts | None = None,
) -> Lens:
    """Bring a model and its vocabulary under some choices; what the model lacks is not applied.

    Args:
        weights: the model.
        texts: its tokens' texts; None for a lone byte.
        ln_mode: as in `gains_folded`.
        emb_mode: as in `effective_embedding`.
        positions: whether learned positions join the vocabulary.
        filters: what lists may hold.
        occurrences: how often each token stands in the text at hand; None where there is none.

    Raises:
        ValueError: not every row of the embedding has a text, or the filters leave no token.
    """
    if len(texts) != weights.d_vocab:
        raise ValueError(
            f"the vocabulary names {len(texts)} tokens, the embedding has {weights.d_vocab} rows; "
            "make both from one model"
        )
    ln_mode = "raw" if weights.ln1_gain is None else ln_mode
    emb_mode = "embedding" if weights.ff_keys is None else emb_mode
    read = replace(gains_folded(weights, ln_mode), W_E=effective_embedding(weights, emb_mode))
    read = with_positions(read) if positions else read
    n_positions = len(read.W_E) - weights.d_vocab
    return Lens(
        read,
        weights.d_vocab,
        mask=torch.cat([filters.mask(texts, occurrences), torch.ones(n_positions, dtype=torch.bool)]),
        allowed=filters.pairs([*texts, *[None] * n_positions]),
        ln_mode=ln_mode,
        emb_mode=emb_mode,
        occurrences=occurrences,
    )


def with_positions(weights: Weights) -> Weights:
    """Let the model's learned positions follow its tokens as further rows of W_E; no rows if it has none."""
    if weights.W_pos is None:
        return weights
    return replace(weights, W_E=torch.cat([weights.W_E, weights.W_pos]))
