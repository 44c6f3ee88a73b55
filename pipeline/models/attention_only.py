"""The toy network: attention alone, without layer norm, feed-forward parts or biases."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int
from torch import Generator, Tensor, nn

HIDDEN = -1e9  # added to the scores of keys after the query: their attention is exactly 0


class Network(nn.Module):
    """A language model that says what its losses are made of."""

    def unembedding_inputs(
        self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "token d_model"], Float[Tensor, "d_vocab d_model"], Int[Tensor, " token"]]:
        """Return what the losses are made of: what the unembedding reads, the unembedding, the tokens to predict.

        Args:
            tokens: ids.
            dtype: number format of everything but the weights themselves.
        """
        raise NotImplementedError

    def described(self) -> Mapping[str, object]:
        """Return what its config.json says."""
        raise NotImplementedError

    def losses(
        self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype = torch.float32
    ) -> Float32[Tensor, "batch position-1"]:
        """Return the negative log-likelihood, nats, of each token but the first, given those before it.

        Args:
            tokens: ids.
            dtype: number format of everything but the weights and the loss itself.

        Returns:
            Entry p is about the token at position p + 1.
        """
        resid, W_U, targets = self.unembedding_inputs(tokens, dtype)
        losses = F.cross_entropy(F.linear(resid, W_U).float(), targets, reduction="none")
        return einops.rearrange(losses, "(batch position) -> batch position", batch=len(tokens))


@dataclass(frozen=True)
class AttentionOnlyConfig:
    """The network's shape."""

    n_layers: int
    n_heads: int
    d_model: int  # a multiple of n_heads
    n_ctx: int
    d_vocab: int
    positions: str  # "queries_and_keys" or "none"
    tied: bool  # whether the unembedding is the embedding, transposed

    @classmethod
    def from_dict(cls, values: dict) -> "AttentionOnlyConfig":
        """Pick the shape from a config.json, which may say more."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    @property
    def d_head(self) -> int:
        """Width of a head's queries, keys and values."""
        return self.d_model // self.n_heads


@dataclass(frozen=True)
class OwnForward:
    """A network's own attention and output on some tokens.

    `scores` are already over sqrt(d_head). Those of keys that a query does not see mean nothing.
    """

    scores: Float[Tensor, "batch layer head query key"]
    pattern: Float[Tensor, "batch layer head query key"]  # probability: rows sum to 1
    logits: Float[Tensor, "batch position d_vocab"]


class Attention(nn.Module):
    """One layer of heads, which read the residual stream and write to it.

    Rows of `project_qkv.weight` are queries, keys, values, each head by head; columns of
    `project_output.weight` are head by head too.
    """

    def __init__(self, config: AttentionOnlyConfig) -> None:
        """Make the two projections."""
        super().__init__()
        self.n_heads, self.d_head = config.n_heads, config.d_head
        self.project_qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=False)
        self.project_output = nn.Linear(config.d_model, config.d_model, bias=False)

    def forward(
        self,
        resid: Float[Tensor, "batch position d_model"],
        positions: Float[Tensor, "position d_model"] | None,
        mask: Float[Tensor, "query key"],
    ) -> tuple[
        Float[Tensor, "batch position d_model"],
        Float[Tensor, "batch_head query key"],
        Float[Tensor, "batch_head query key"],
    ]:
        """Attend once.

        Args:
            resid: the residual stream.
            positions: added to what queries and keys read; None for nothing.
            mask: added to the scores.

        Returns:
            What the heads write; their scores and their pattern, the heads of the first sequence first.
        """
        d_model = resid.shape[-1]
        W_QK, W_V = self.project_qkv.weight.to(resid.dtype).split([2 * d_model, d_model])
        W_O = self.project_output.weight.to(resid.dtype)
        placed = resid if positions is None else resid + positions
        heads = "batch position (which head d_head) -> which (batch head) position d_head"
        query, key = einops.rearrange(F.linear(placed, W_QK), heads, which=2, head=self.n_heads)
        (value,) = einops.rearrange(F.linear(resid, W_V), heads, which=1, head=self.n_heads)

        # Products and softmax in full, mask and scale folded into the product: on a CPU with bfloat16
        # units this is some three times faster than the backward pass of torch's fused attention.
        scores = torch.baddbmm(mask, query, key.mT, alpha=self.d_head**-0.5)
        pattern = scores.softmax(-1)
        joined = "(batch head) position d_head -> batch position (head d_head)"
        read = einops.rearrange(pattern @ value, joined, head=self.n_heads)
        return F.linear(read, W_O), scores, pattern


class AttentionOnly(Network):
    """Token embedding, attention layers, unembedding; positions enter queries and keys only, in every layer.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; positions as in
    Press et al. 2021, "Shortformer". Parameter names are those of the notebooks' checkpoint.
    """

    def __init__(self, config: AttentionOnlyConfig) -> None:
        """Make the network; `initialise` or `load_state_dict` gives it weights."""
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.d_vocab, config.d_model)
        if config.positions != "none":
            self.pos_embedding = nn.Embedding(config.n_ctx, config.d_model)
        self.blocks = nn.ModuleList(Attention(config) for _ in range(config.n_layers))
        if not config.tied:
            self.unembedding = nn.Linear(config.d_model, config.d_vocab, bias=False)

    @torch.no_grad()
    def initialise(self, embedding_sd: float, position_sd: float, query_key_scale: float, generator: Generator) -> None:
        """Draw first weights: embeddings normal, matrices uniform within 1/sqrt(d_model).

        Args:
            embedding_sd: standard deviation of a component of a token's embedding. Far below 1, scores
                are so small that attention stays uniform.
            position_sd: the same of a position's embedding.
            query_key_scale: what queries' and keys' matrices are multiplied by. At 1, a later layer may
                be first to attend to the previous token, and induction, which needs that below it, waits.
            generator: decides the weights.
        """
        bound = self.config.d_model**-0.5
        for name, weight in self.named_parameters():
            if name == "token_embedding.weight":
                weight.normal_(0, embedding_sd, generator=generator)
            elif name == "pos_embedding.weight":
                weight.normal_(0, position_sd, generator=generator)
            else:
                weight.uniform_(-bound, bound, generator=generator)
            if name.endswith("project_qkv.weight"):
                weight[: 2 * self.config.d_model] *= query_key_scale

    def forward(
        self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "batch position d_vocab"]:
        """Return the logits of the token after each position.

        Args:
            tokens: ids.
            dtype: number format of everything but the weights themselves, and of the logits.
        """
        resid, _, _ = self._resid(tokens, dtype)
        return F.linear(resid, self._W_U(dtype))

    def trace(self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype = torch.float32) -> OwnForward:
        """Return every head's scores and pattern, and the logits; arguments as for `forward`."""
        resid, scores, patterns = self._resid(tokens, dtype)
        axes = "layer (batch head) query key -> batch layer head query key"
        return OwnForward(
            scores=einops.rearrange(scores, axes, batch=len(tokens)),
            pattern=einops.rearrange(patterns, axes, batch=len(tokens)),
            logits=F.linear(resid, self._W_U(dtype)),
        )

    def unembedding_inputs(
        self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "token d_model"], Float[Tensor, "d_vocab d_model"], Int[Tensor, " token"]]:
        """Return what the losses are made of: the last residual stream, the unembedding, and the tokens to predict."""
        resid, _, _ = self._resid(tokens, dtype)
        resid = einops.rearrange(resid[:, :-1], "batch position d_model -> (batch position) d_model")
        return resid, self._W_U(dtype), tokens[:, 1:].flatten()

    def described(self) -> Mapping[str, object]:
        """Return what its config.json says."""
        return asdict(self.config) | {"model_type": "attention_only"}

    def _resid(self, tokens: Tensor, dtype: torch.dtype) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The last residual stream, and each layer's scores and pattern."""
        n_positions = tokens.shape[1]
        if n_positions > self.config.n_ctx:
            raise ValueError(f"a sequence of {n_positions} tokens does not fit n_ctx={self.config.n_ctx}; cut it")
        mask = torch.full((n_positions, n_positions), HIDDEN, dtype=dtype, device=tokens.device).triu(1)
        positions = None
        if self.config.positions != "none":
            positions = self.pos_embedding.weight[:n_positions].to(dtype)
        resid = F.embedding(tokens, self.token_embedding.weight.to(dtype))
        scores, patterns = [], []
        for block in self.blocks:
            written, layer_scores, layer_pattern = block(resid, positions, mask)
            resid = resid + written
            scores.append(layer_scores)
            patterns.append(layer_pattern)
        return resid, scores, patterns

    def _W_U(self, dtype: torch.dtype) -> Tensor:
        """[d_vocab, d_model], as linear layers keep it."""
        unembedding = self.token_embedding if self.config.tied else self.unembedding
        return unembedding.weight.to(dtype)
