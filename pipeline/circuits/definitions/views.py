"""What the functions of definitions look at: sequences and a forward pass, each part worked out once."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from einops import einsum, repeat
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.scores import challenges, head_patterns, induction, outputs, virtual_heads
from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights


@dataclass(frozen=True)
class Tokens:
    """Sequences, and which keys a query of each role should look at."""

    tokens: Int[Tensor, "batch position"]
    first: int  # the first position that is not [BEGIN]: 0 or 1
    period: int | None = None  # of random tokens that repeat; None where nothing repeats so
    context: int | None = None  # of ambiguous sequences, how many tokens tell continuations apart: 1 or 2
    near: Int[Tensor, "d_vocab near"] | None = None  # of `induction.nearest`; None where nearness is not asked for

    @cached_property
    def without_begin(self) -> "Tokens | None":
        """The same without [BEGIN]; None where there is none."""
        return replace(self, tokens=self.tokens[:, 1:], first=0) if self.first else None

    @cached_property
    def previous(self) -> Bool[Tensor, "batch query key"]:
        """The token just before."""
        return head_patterns.previous_token(self.tokens)

    @cached_property
    def copies(self) -> Bool[Tensor, "batch query key"]:
        """All earlier copies of the query's token."""
        return head_patterns.duplicate_token(self.tokens)

    @cached_property
    def targets(self) -> Bool[Tensor, "batch query key"]:
        """What followed earlier copies of the query's token."""
        return induction.targets(self.tokens, self.first)

    @cached_property
    def near_targets(self) -> Bool[Tensor, "batch query key"] | None:
        """What followed earlier tokens that are near the query's, but not the same; None without `near`."""
        return None if self.near is None else induction.near_targets(self.tokens, self.first, self.near)

    @cached_property
    def rivals(self) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query key"]]:
        """Both targets of queries that have two, told apart by the context."""
        if self.context is None:
            raise ValueError("rivals: these sequences are not ambiguous; ask where `context` is set")
        return challenges.rivals(self.tokens, self.targets, self.context)


@dataclass(frozen=True)
class Pass:
    """One layer of a forward pass on sequences."""

    weights: Weights
    trace: Trace
    held: Held | None  # None where the logits do not add up
    layer: int
    first: int  # the first position that is not [BEGIN]

    def entropy(self) -> Float64[Tensor, "batch head"]:
        """Mean entropy of attention over that of even attention."""
        return head_patterns.entropy_share(self.trace.pattern[:, self.layer])

    def inactivity(self) -> Float64[Tensor, "batch head"]:
        """How much less than its layer's mean a head writes."""
        return outputs.inactivity(self.trace.z[:, self.layer, :, self.first :], self.weights.W_O[self.layer])

    @cached_property
    def _attended(self) -> tuple[Float[Tensor, "batch head query d_head"], Float[Tensor, "batch head query d_head"]]:
        """What heads write, and what of it is asked for by the tokens they attend to; [BEGIN] is none of these."""
        rest = slice(self.first, None)
        z = self.trace.z[:, self.layer]
        if self.held is None:
            return torch.full_like(z, torch.nan), z
        pattern = self.trace.pattern[:, self.layer, :, rest, rest]
        return self.held.unscaled(z)[:, :, rest], pattern @ self.held.asked(self.layer)[:, :, rest]

    def attended_logits(self) -> Float64[Tensor, "batch head"]:
        """What heads add to the logits of the tokens that they attend to; NaN where logits do not add up."""
        return outputs.attended_logits(*self._attended)

    def chosen_logits(self) -> Float64[Tensor, "batch head"]:
        """The same, less what a sentence's mean output adds to what it attends to on average."""
        return outputs.attended_logits(*map(_centred, self._attended))

    def turned_logits(self) -> Float64[Tensor, "head d_head d_head"]:
        """What the sum of `chosen_logits` over sentences is the trace of."""
        return outputs.turned_logits(*map(_centred, self._attended))


def _centred(x: Float[Tensor, "batch head query d_head"]) -> Float64[Tensor, "batch head query d_head"]:
    return x.double() - x.mean(2, keepdim=True, dtype=torch.float64)


@dataclass(frozen=True)
class Turned:
    """Attention to targets where tokens have changed places; see `null_patterns`."""

    to_all: Float[Tensor, "draw layer head"]  # summed over queries, as the next
    to_latest: Float[Tensor, "draw layer head"]
    pairs: Int[Tensor, ""]  # of a query and a target
    queries: Int[Tensor, ""]  # that have a target
    positions: int  # queries in all


@dataclass(frozen=True)
class Paths:
    """What flows through one head and each head of a later layer, on some sequences; where logits add up."""

    held: Held
    source: Head
    layer: int  # of the second heads

    @cached_property
    def z(self) -> list[Float[Tensor, "batch query d_head"]]:
        """What each second head makes of what the first one wrote."""
        heads = range(self.held.weights.n_heads)
        return [virtual_heads.virtual_z(self.held, self.source, (self.layer, head)) for head in heads]

    @property
    def W_O(self) -> Float[Tensor, "head d_head d_model"]:
        """Of the second heads."""
        return self.held.weights.W_O[self.layer]

    @cached_property
    def written(self) -> Float[Tensor, "batch position d_model"]:
        """What the whole second layer writes."""
        axes = "batch head position d_head, head d_head d_model -> batch position d_model"
        return einsum(self.held.trace.z[:, self.layer], self.W_O, axes)

    def norm_shares(self) -> Float[Tensor, " head"]:
        """Size of each pair's output beside the layer's."""
        outputs = zip(self.z, self.W_O, strict=True)
        shares = [virtual_heads.norm_share(z @ W_O, self.written) for z, W_O in outputs]
        return torch.tensor(shares, dtype=torch.float64)

    def losses_removed(self) -> Float[Tensor, "sentence head"]:
        """Nats per token that each sentence loses without each pair's path to the logits."""
        logits, tokens = self.held.trace.logits, self.held.trace.tokens
        whole = token_losses(logits, tokens)[:, 1:].mean(-1)
        paths = (self.held.unscaled(z) @ (W_O @ self.held.read.W_U) for z, W_O in zip(self.z, self.W_O, strict=True))
        return torch.stack([virtual_heads.loss_without(logits, path, tokens) - whole for path in paths], -1)

    def logit_contributions(self) -> Float[Tensor, "sentence head"]:
        """What each pair's path adds to the logit of the token that comes, less its mean over tokens."""
        direction = self.held.unscaled(self.held.directions(self.held.trace.tokens.roll(-1, 1)))
        paths = (z @ W_O for z, W_O in zip(self.z, self.W_O, strict=True))
        return torch.stack([(path * direction).sum(-1)[:, :-1].double().mean(-1) for path in paths], -1)


@dataclass(frozen=True)
class Predictions:
    """What a model predicts on sequences, and what a repeat could have told it."""

    trace: Trace
    sequences: Tokens

    @cached_property
    def losses(self) -> Float[Tensor, "batch position"]:
        """Nats; see `token_losses`."""
        return token_losses(self.trace.logits, self.trace.tokens)

    @cached_property
    def right(self) -> Bool[Tensor, "batch position"]:
        """Whether the likeliest token came."""
        return functional.pad(self.trace.logits[:, :-1].argmax(-1) == self.trace.tokens[:, 1:], (1, 0))

    @cached_property
    def foretold(self) -> Bool[Tensor, "batch position"]:
        """Tokens that an earlier occurrence of the token before foretells."""
        return challenges.predictable(self.trace.tokens, self.sequences.targets)

    @cached_property
    def novel(self) -> Bool[Tensor, "batch position"]:
        """All other tokens that are predicted."""
        return ~self.foretold & ~self.losses.isnan()

    @property
    def d_vocab(self) -> int:
        """Tokens there are to predict."""
        return self.trace.logits.shape[-1]

    @property
    def even_loss(self) -> float:
        """The loss of even guessing, nats."""
        return math.log(self.d_vocab)

    @cached_property
    def contested(self) -> Bool[Tensor, "batch position"]:
        """Queries that have both rivals."""
        return self.sequences.rivals[0].any(-1)

    @cached_property
    def lead(self) -> Float[Tensor, "batch position"]:
        """Logit of the first rival's token minus that of the second's, at queries that have both."""
        tokens = self.trace.tokens
        held = repeat(tokens, "batch key -> batch query key", query=tokens.shape[1])
        logits = self.trace.logits.gather(-1, held).double()  # at the query, of what each key holds
        first, second = ((logits * rival).sum(-1) for rival in self.sequences.rivals)
        return first - second
