"""The toy network: attention alone, without layer norm, feed-forward parts or biases."""

from dataclasses import dataclass, fields

import einops
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

HIDDEN = -1e9  # added to the scores of keys after the query: their attention is exactly 0


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
class Trace:
    """What a forward pass computed on its way.

    `scores` are already over sqrt(d_head); those of keys after the query hold `HIDDEN`, more or less.
    """

    logits: Tensor  # [batch, position, d_vocab]
    scores: Tensor  # [batch, layer, head, query, key]
    pattern: Tensor  # [batch, layer, head, query, key], rows sum to 1


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

    def forward(self, resid: Tensor, positions: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend once.

        Args:
            resid: [batch, position, d_model], residual stream.
            positions: [position, d_model], added to what queries and keys read; None for nothing.
            mask: [query, key], added to the scores.

        Returns:
            What the heads write, [batch, position, d_model]; their scores and their pattern, both
            [batch * head, query, key].
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


class AttentionOnly(nn.Module):
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
        for block in self.blocks:
            block.project_qkv.weight[: 2 * self.config.d_model] *= query_key_scale

    def forward(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Logits of the token after each position.

        Args:
            tokens: [batch, position], ids.
            dtype: number format of everything but the weights themselves.

        Returns:
            [batch, position, d_vocab], in `dtype`.
        """
        resid, _, _ = self._resid(tokens, dtype)
        return F.linear(resid, self._W_U(dtype))

    def trace(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Trace:
        """Logits, and every head's scores and pattern; arguments as for `forward`."""
        resid, scores, patterns = self._resid(tokens, dtype)
        layers = "layer (batch head) query key -> batch layer head query key"
        stacked = [einops.rearrange(kind, layers, batch=len(tokens)) for kind in (scores, patterns)]
        return Trace(F.linear(resid, self._W_U(dtype)), *stacked)

    def losses(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Negative log-likelihood of each token but the first, given those before it.

        Args:
            tokens: [batch, position], ids.
            dtype: number format of everything but the weights and the loss itself.

        Returns:
            [batch, position - 1], nats, float32: entry p is about the token at position p + 1.
        """
        resid, _, _ = self._resid(tokens, dtype)
        resid = einops.rearrange(resid[:, :-1], "batch position d_model -> (batch position) d_model")
        logits = F.linear(resid, self._W_U(dtype)).float()
        losses = F.cross_entropy(logits, tokens[:, 1:].flatten(), reduction="none")
        return einops.rearrange(losses, "(batch position) -> batch position", batch=len(tokens))

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
