"""Attention-only networks wired by hand, whose every score is known before anything is measured.

The residual stream has four blocks of orthonormal directions: `token`, one a token, which the embedding
writes and the (tied) unembedding reads; `position`, one a position; `carried`, one a token, for what a
first layer tells a second; and the `spare` rest. In each layer head 0 is the circuit's; the others are
distractors: they attend to everything at random and write to the spare block, where nothing reads.
"""

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Float64
from torch import Generator, Tensor

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig


@dataclass(frozen=True)
class Wiring:
    """One head of a circuit: what it attends to, and what it writes where."""

    attends: str  # "everywhere" alike, "back" by a fixed offset, "match" of what two blocks hold
    moves: tuple[str, str]  # block it reads at the key, block it writes at the query
    query: str = "position"  # block its queries read
    key: str = "position"  # block its keys read
    sign: int = 1  # of what it writes
    shift: int = 0  # added to the token id that it writes, going round


_PREVIOUS = Wiring("back", ("token", "carried"))
_LOOKS_BACK = (Wiring("back", ("token", "token")),)
CIRCUITS = {
    "uniform": (Wiring("everywhere", ("token", "token"), shift=1),),
    "copy": (Wiring("everywhere", ("token", "token")),),
    "anticopy": (Wiring("everywhere", ("token", "token"), sign=-1),),
    "previous_token": _LOOKS_BACK,
    "positional_shortcut": _LOOKS_BACK,
    "duplicate_token": (Wiring("match", ("token", "token"), query="token", key="token"),),
    "induction": (_PREVIOUS, Wiring("match", ("token", "token"), query="token", key="carried")),
    "q_composition": (_PREVIOUS, Wiring("match", ("token", "token"), query="carried", key="token")),
    "v_composition": (_PREVIOUS, Wiring("back", ("carried", "token"))),
}


@dataclass(frozen=True)
class Construction:
    """Which circuit, how strong, and in how large a network."""

    circuit: str  # of `CIRCUITS`
    basis: str  # of the residual stream: "one_hot", or "random", orthonormal and dense
    n_heads: int  # in each layer
    d_model: int
    n_ctx: int
    d_vocab: int
    offset: int  # positions; how far back heads look that attend "back"
    position_gain: float  # score of the key they look at; that of all others is 0
    match_gain: float  # score of a key whose block holds, wholly, what the query's holds
    copy_gain: float  # logits; what a head that attends to one token alone adds to it

    @classmethod
    def from_dict(cls, values: dict) -> "Construction":
        """Pick the construction from settings, which may say more."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    @property
    def wiring(self) -> tuple[Wiring, ...]:
        """Head 0 of each layer."""
        return CIRCUITS[self.circuit]

    @property
    def d_head(self) -> int:
        """Width of a head's queries, keys and values."""
        return self.d_model // self.n_heads

    @property
    def blocks(self) -> dict[str, slice]:
        """Where each block lies, before the basis is turned."""
        widths = {"token": self.d_vocab, "position": self.n_ctx, "carried": self.d_vocab}
        blocks, start = {}, 0
        for name, width in widths.items():
            blocks[name] = slice(start, start + width)
            start += width
        return blocks | {"spare": slice(start, self.d_model)}


def constructed(construction: Construction, generator: Generator) -> AttentionOnly:
    """Wire the network.

    Args:
        construction: what to build.
        generator: decides the distractors, then the random basis.

    Raises:
        ValueError: the stream cannot hold the blocks, or a head not as many directions as it must tell apart.
    """
    _check(construction)
    shape = vars(construction) | {"n_layers": len(construction.wiring), "positions": "queries_and_keys", "tied": True}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(shape))
    layers = [_layer(construction, wiring, generator) for wiring in construction.wiring]
    basis = _basis(construction, generator)
    blocks = construction.blocks
    state = {"token_embedding.weight": basis[blocks["token"]], "pos_embedding.weight": basis[blocks["position"]]}
    for layer, (reads, outputs) in enumerate(layers):
        qkv = rearrange(basis.mT @ reads, "qkv head d_model d_head -> (qkv head d_head) d_model")
        output = rearrange(outputs @ basis, "head d_head d_model -> d_model (head d_head)")
        state |= {f"blocks.{layer}.project_qkv.weight": qkv, f"blocks.{layer}.project_output.weight": output}
    model.load_state_dict(state)
    return model


def _check(construction: Construction) -> None:
    needed = 2 * construction.d_vocab + construction.n_ctx + (construction.n_heads > 1)
    if construction.d_model < needed:
        raise ValueError(
            f"model.d_model={construction.d_model} does not hold a token block twice and a position block; "
            f"with {construction.d_vocab} tokens and model.n_ctx={construction.n_ctx}, {needed} is the least"
        )
    told_apart = max(construction.d_vocab, construction.n_ctx)
    if construction.d_head < told_apart:
        raise ValueError(
            f"model.d_model={construction.d_model} over model.n_heads={construction.n_heads} leaves a head "
            f"{construction.d_head} directions, and it must tell {told_apart} apart; take fewer heads"
        )
    if construction.basis == "random" and construction.d_model & (construction.d_model - 1):
        raise ValueError(f"model.d_model={construction.d_model} is no power of two, which model.basis=random must have")
    if construction.offset >= construction.n_ctx:
        raise ValueError(f"model.offset={construction.offset} looks beyond model.n_ctx={construction.n_ctx}")


def _basis(construction: Construction, generator: Generator) -> Float64[Tensor, "direction d_model"]:
    """Return the stream's directions: single components, or a Hadamard matrix's rows at random.

    These spread evenly over all components, and sums of them stay exact in float32 where sqrt(d_model),
    sqrt(d_head) and the gains are numbers of few binary digits: what is zero by the wiring stays zero.
    """
    d_model = construction.d_model
    if construction.basis == "one_hot":
        return torch.eye(d_model, dtype=torch.float64)
    rows = torch.ones(1, 1, dtype=torch.float64)
    while len(rows) < d_model:
        rows = torch.cat([torch.cat([rows, rows], 1), torch.cat([rows, -rows], 1)])
    signs = 1.0 - 2.0 * torch.randint(2, (d_model,), generator=generator)
    return rows[torch.randperm(d_model, generator=generator)] * signs / d_model**0.5


def _layer(
    construction: Construction, wiring: Wiring, generator: Generator
) -> tuple[Float64[Tensor, "qkv head d_model d_head"], Float64[Tensor, "head d_head d_model"]]:
    """Return what a layer's heads read, and what they write."""
    n_heads, d_model, d_head = construction.n_heads, construction.d_model, construction.d_head
    reads = torch.randn((3, n_heads, d_model, d_head), generator=generator, dtype=torch.float64)
    outputs = torch.zeros((n_heads, d_head, d_model), dtype=torch.float64)
    spare = outputs[1:, :, construction.blocks["spare"]]
    if n_heads > 1:  # what distractors write is about as long as a token's direction
        spare.normal_(std=(d_head * spare.shape[-1]) ** -0.5, generator=generator)
    reads[0, 0], reads[1, 0] = _query_key(construction, wiring)
    reads[2, 0], outputs[0] = _value_output(construction, wiring)
    return reads, outputs


def _query_key(
    construction: Construction, wiring: Wiring
) -> tuple[Float64[Tensor, "d_model d_head"], Float64[Tensor, "d_model d_head"]]:
    """Return W_Q and W_K of head 0; scores are divided by sqrt(d_head), gains are of scores."""
    query, key = torch.zeros((2, construction.d_model, construction.d_head), dtype=torch.float64)
    queries, keys = construction.blocks[wiring.query], construction.blocks[wiring.key]
    width = keys.stop - keys.start
    if wiring.attends == "match":
        query[queries, :width] = construction.match_gain * torch.eye(width, dtype=query.dtype)
    if wiring.attends == "back":
        back = torch.ones(width - construction.offset, dtype=query.dtype).diag(-construction.offset)
        query[queries, :width] = construction.position_gain * back
    if wiring.attends != "everywhere":
        key[keys, :width] = torch.eye(width, dtype=key.dtype)
    return query * construction.d_head**0.5, key


def _value_output(
    construction: Construction, wiring: Wiring
) -> tuple[Float64[Tensor, "d_model d_head"], Float64[Tensor, "d_head d_model"]]:
    """Return W_V and W_O of head 0."""
    value = torch.zeros((construction.d_model, construction.d_head), dtype=torch.float64)
    output = torch.zeros((construction.d_head, construction.d_model), dtype=torch.float64)
    read, written = (construction.blocks[name] for name in wiring.moves)
    width = construction.d_vocab
    value[read, :width] = torch.eye(width, dtype=value.dtype)
    gain = wiring.sign * (construction.copy_gain if wiring.moves[1] == "token" else 1.0)
    output[:width, written] = gain * torch.eye(width, dtype=output.dtype).roll(wiring.shift, 1)
    return value, output
