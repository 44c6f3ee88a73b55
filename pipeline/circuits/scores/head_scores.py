"""All scores of single heads, under the names the tables give them: {(metric, definition): Score}."""

import math

import torch
from torch import Tensor

from pipeline.circuits.scores import copying, head_patterns, induction, positional
from pipeline.circuits.scores.head_patterns import Template
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.layers import head_outputs
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import gains_folded, ov_circuit, qk_circuit


def templates(tokens: Tensor, first: int, period: int | None) -> dict[tuple[str, str], Template]:
    """Return the template of every score of patterns.

    Args:
        tokens: [batch, position].
        first: the first position that is not [BEGIN]: 0 or 1.
        period: of repeated tokens; None where it is not fixed, which leaves `stripe` out.
    """
    before, same = head_patterns.previous_token(tokens), head_patterns.duplicate_token(tokens)
    found = induction.targets(tokens, first)
    result = {
        ("previous_token", "mean"): head_patterns.mass(before),
        ("current_token", "mean"): head_patterns.mass(head_patterns.current_token(tokens)),
        ("first_token", "mean"): head_patterns.mass(head_patterns.first_token(tokens)),
        ("duplicate_token", "mass"): head_patterns.mass(same),
        ("induction", "mass"): head_patterns.mass(found),
        ("induction", "entry_mean"): head_patterns.entry_mean(found),
        ("induction", "most_recent"): induction.most_recent(found),
    }
    for metric, role in (("previous_token", before), ("duplicate_token", same), ("induction", found)):
        result[metric, "detector_mul"] = head_patterns.detector_mul(role)
        result[metric, "detector_abs"] = head_patterns.detector_abs(role)
    if period is not None:
        result["induction", "stripe"] = induction.stripe(tokens, period, found)
    return result


def sequence_scores(
    weights: Weights, tokens: Tensor, first: int, period: int | None, batch: int
) -> tuple[Scores, Tensor]:
    """Run the model on sequences and score its patterns; on repeated tokens, `olsson` copying too.

    Args:
        weights: the transformer.
        tokens: [batch, position].
        first: as in `templates`, like the next.
        period: the random tokens before the first repeat are those that `olsson` is scored on.
        batch: sequences in one forward pass; bounds memory, not the result.

    Returns:
        The scores, [layer, head] each, with those of each sentence; the losses [batch, position] of
        `token_losses`.
    """
    even = head_patterns.even(tokens.shape[1])
    unembedding = gains_folded(weights).W_U
    matches, levels, losses, copies = [], [], [], []
    for part in tokens.split(batch):
        trace, named = forward(weights, part), templates(part, first, period)
        matches.append(head_patterns.match(trace.pattern, list(named.values())))
        counts = [(one.weight, one.by(even), one.by(head_patterns.perfect(one.role))) for one in named.values()]
        levels.append(torch.stack([torch.stack(each) for each in counts]))
        losses.append(token_losses(trace.logits, part))
        if period is not None:
            copies.append(_olsson(weights, trace, slice(first, first + period), unembedding))
    measured = zip(named, torch.cat(matches, 1), torch.cat(levels, -1), strict=True)
    scores = {name: _pattern_score(match, *level) for name, match, level in measured}
    if copies:
        copies = torch.cat(copies)
        chance = copying.olsson_chance(period)
        scores["copying", "olsson"] = pooled(copies, (~copies.isnan()).double(), chance, ideal=1.0)
    return scores, torch.cat(losses)


def _pattern_score(match: Tensor, weight: Tensor, even: Tensor, perfect: Tensor) -> Score:
    """Return the score of matches [batch, layer, head]; the same of two known patterns, [batch], are its levels."""
    total, weights = weight.sum(), weight[:, None, None]
    return pooled(match / weights, weights, float(even.sum() / total), float(perfect.sum() / total))


def _olsson(weights: Weights, trace: Trace, sample: slice, W_U: Tensor) -> Tensor:
    """Score [batch, layer, head] on the tokens at the positions `sample` alone."""
    scores = []
    for layer in range(weights.n_layers):
        output = head_outputs(weights, trace.z[:, layer, :, sample], layer)
        pattern = trace.pattern[:, layer, :, sample, sample]
        scores.append(copying.olsson_scores(pattern, output, W_U, trace.tokens[:, sample]))
    return torch.stack(scores, 1)


def circuit_scores(weights: Weights, layer: int, tokens: Tensor, tile: int) -> Scores:
    """Score the OV and QK circuits of one layer's heads, without any sequence.

    Args:
        weights: with layer norm's gains folded in.
        layer: which layer.
        tokens: the tokens whose rows are ranked for top1 and top5.
        tile: rows ranked at a time; bounds memory, not the result.

    Returns:
        The scores, [head] each; those of positions only where the model has W_pos.
    """
    heads = [(layer, head) for head in range(weights.n_heads)]
    parts = [_token_scores(weights, head, tokens, tile) | _position_scores(weights, head) for head in heads]
    values = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    # The nearest to a multiple of the identity that d_head allows is an orthogonal projection.
    most = math.sqrt(min(weights.d_head, weights.d_vocab - 1))
    chance = {"top1": 1 / weights.d_vocab, "top5": 5 / weights.d_vocab}
    if weights.W_pos is not None:
        n_ctx = len(weights.W_pos)
        before = head_patterns.even(n_ctx).diagonal(-1).mean()
        chance |= {"positional": float(before), "recall": 1 / (n_ctx - 1), "recall_64": 1 / (min(n_ctx, 64) - 1)}
    ideal = {"diagonal_z": most}
    return {name: Score(value, chance.get(name[1], 0.0), ideal.get(name[1], 1.0)) for name, value in values.items()}


def _token_scores(weights: Weights, head: Head, tokens: Tensor, tile: int) -> dict[tuple[str, str], Tensor]:
    copies, matches = ov_circuit(weights, head), qk_circuit(weights, head)
    rank = copying.diagonal_rank(*copies, tokens, tile)
    return {
        ("copying", "eigenvalue"): copying.eigenvalue_score(*copies),
        ("copying", "eigenvalue_stream"): copying.eigenvalue_score(weights.W_V[head], weights.W_O[head].mT),
        ("copying", "diagonal_z"): copying.diagonal_z(*copies),
        ("copying", "top1"): (rank < 1).double().mean(),
        ("copying", "top5"): (rank < 5).double().mean(),
        ("same_token_preference", "eigenvalue"): copying.eigenvalue_score(*matches),
        ("same_token_preference", "diagonal_z"): copying.diagonal_z(*matches),
    }


def _position_scores(weights: Weights, head: Head) -> dict[tuple[str, str], Tensor]:
    if weights.W_pos is None:
        return {}
    rows, columns = positional.position_circuit(weights, head)
    scores = {
        ("previous_token", "recall"): positional.recall(rows, columns),
        ("previous_token", "recall_64"): positional.recall(rows[:64], columns[:64]),
    }
    # What a norm divides by depends on the rest of the stream, and decides how sharp the pattern is.
    if weights.ln1_gain is None:
        scores["previous_token", "positional"] = positional.mean_attention(rows, columns)
    return scores
