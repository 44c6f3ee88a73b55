"""All scores of pairs of heads, under the names the tables give them: {(metric, definition): Score}."""

import math

import torch
from einops import einsum
from torch import Tensor

from pipeline.circuits.scores import virtual_heads
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import diagonal_rank, eigenvalue_score
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import k_circuit, virtual_ov_circuit


def composition_scores(weights: Weights, source: int, reader: int) -> Scores:
    """Return Q-, K- and V-composition of two layers' heads: [source head, reader head] each.

    `above_chance` is without what random weights give, as the source of `composition` has it. Ideal is a
    reader whose matrix takes in all that the source writes, where both weigh d_head directions alike; it is
    no upper bound, since matrices that weigh few directions reach up to 1.
    """
    chance, ideal = 1 / math.sqrt(weights.d_model), 1 / math.sqrt(weights.d_head)
    scores = {}
    for kind, value in composition(weights, source, reader).items():
        scores[f"{kind}_composition", "frobenius"] = Score(value, chance, ideal)
        scores[f"{kind}_composition", "above_chance"] = Score(value - chance, 0.0, ideal - chance)
    return scores


def circuit_scores(weights: Weights, source: Head, layer: int, tokens: Tensor, tile: int) -> Scores:
    """Score the circuits through one head and each head of a later layer, without any sequence.

    `top1_keys` is the share of query tokens that match their own copy best, among all that the source may
    have copied to a key; `top1_queries` the share of copies that no other query token matches better.
    `eigenvalue` and `top1` are `copying`'s, of the K circuit and of both heads' OV circuits in a row.

    Args:
        weights: with layer norm's gains folded in.
        source: (layer, head) of the first head.
        layer: of the second heads.
        tokens: the tokens whose rows are ranked for the top1 scores.
        tile: rows ranked at a time; bounds memory, not the result.

    Returns:
        The scores, [reader head] each, float64.
    """
    rows = []
    for head in range(weights.n_heads):
        matches = k_circuit(weights, source, (layer, head))
        copies = virtual_ov_circuit(weights, source, (layer, head))
        ranked = (matches, matches[::-1], copies)
        top1 = [(diagonal_rank(*circuit, tokens, tile) < 1).double().mean() for circuit in ranked]
        rows.append(torch.stack([*top1, eigenvalue_score(*matches), eigenvalue_score(*copies)]))
    keys, queries, copying, match_sign, copy_sign = torch.stack(rows, 1)
    by_chance = 1 / weights.d_vocab
    return {
        ("K_circuit", "top1_keys"): Score(keys, by_chance, ideal=1.0),
        ("K_circuit", "top1_queries"): Score(queries, by_chance, ideal=1.0),
        ("K_circuit", "eigenvalue"): Score(match_sign, chance=0.0, ideal=1.0),
        ("virtual", "top1"): Score(copying, by_chance, ideal=1.0),
        ("virtual", "eigenvalue"): Score(copy_sign, chance=0.0, ideal=1.0),
    }


def path_scores(weights: Weights, trace: Trace, source: Head, layer: int) -> Scores:
    """Score what really flows through one head and each head of a later layer, on some sequences.

    Args:
        weights: the transformer.
        trace: its forward pass.
        source: (layer, head) of the first head.
        layer: of the second heads.

    Returns:
        The scores, [reader head] each, float64; see `virtual_heads`. NaN in models with layer norm, where
        paths do not add up.
    """
    shares = torch.full((weights.n_heads,), torch.nan, dtype=torch.float64)
    losses = shares.expand(len(trace.tokens), -1)
    if weights.ln1_gain is None:
        outputs = "batch head position d_head, head d_head d_model -> batch position d_model"
        written = einsum(trace.z[:, layer], weights.W_O[layer], outputs)
        loss, shares, losses = token_losses(trace.logits, trace.tokens)[:, 1:].mean(-1), [], []
        for head in range(weights.n_heads):
            z, W_O = virtual_heads.virtual_z(weights, trace, source, (layer, head)), weights.W_O[layer, head]
            shares.append(virtual_heads.norm_share(z @ W_O, written))
            losses.append(virtual_heads.loss_without(trace.logits, z @ (W_O @ weights.W_U), trace.tokens) - loss)
        shares, losses = torch.tensor(shares, dtype=torch.float64), torch.stack(losses, -1)
    return {
        ("virtual", "norm_share"): Score(shares),
        ("virtual", "loss_removed"): pooled(losses, (~losses.isnan()).double()),
    }


def promoted_tokens(weights: Weights, trace: Trace, source: Head, layer: int, count: int) -> dict[str, tuple]:
    """List the tokens that one head and each head of a later layer, in a row, promote most.

    Args:
        weights: a model without layer norm.
        trace: its forward pass.
        source: (layer, head) of the first head.
        layer: of the second heads.
        count: tokens at each position.

    Returns:
        For the kinds virtual and mixed (see `virtual_heads`): logits and token ids, each [reader head,
        batch, position, rank], by falling logit.
    """
    result = {}
    for kind, path in (("virtual", virtual_heads.virtual_z), ("mixed", virtual_heads.mixed_z)):
        outputs = [path(weights, trace, source, (layer, head)) for head in range(weights.n_heads)]
        unembed = weights.W_O[layer] @ weights.W_U
        logits = einsum(torch.stack(outputs), unembed, "head ... d_head, head d_head d_vocab -> head ... d_vocab")
        result[kind] = logits.topk(count)
    return result
