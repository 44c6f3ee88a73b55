"""Attention-only networks wired by hand, whose every score is known before anything is measured."""

import torch
from einops import rearrange
from jaxtyping import Float64
from torch import Generator, Tensor

from pipeline.circuits.closed_forms.wiring import Construction, Wiring
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig


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
