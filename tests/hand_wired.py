"""Induction networks wired by hand: their patterns are exact, and only their induction head speaks."""

import math

import torch

from pipeline.circuits.transformer.weights import Weights

D_VOCAB, PERIOD, COPY = 12, 5, 3.0  # COPY: logits the induction head gives to the token it attends to
LENGTH = 1 + 2 * PERIOD
SHARP = 400.0  # score of what is looked for; exp(-SHARP) is 0 beside 1 in float64


def tokens(sentences=3):
    """[BEGIN] = 0, then a block of distinct tokens twice, [sentence, position]."""
    generator = torch.Generator().manual_seed(5)
    blocks = [torch.randperm(D_VOCAB - 1, generator=generator)[:PERIOD] + 1 for _ in range(sentences)]
    return torch.stack([torch.cat([torch.tensor([0]), block, block]) for block in blocks])


def induction_network(copies=1):
    """0.0 writes the previous token, 1.0 looks for its own token there and copies; heads after it do nothing.

    The stream has a block for the token, the previous token, the output, and (in queries and keys) the place.
    Of several copies, 1.0 and those that follow, each gives COPY logits. A layer has one head more than copies.
    """
    sizes = (D_VOCAB, D_VOCAB, D_VOCAB, LENGTH)
    eye = torch.eye(sum(sizes), dtype=torch.float64)
    token, previous, output, place = eye.split(sizes)
    width = D_VOCAB
    W_Q, W_K, W_V = (torch.zeros(2, 1 + copies, sum(sizes), width, dtype=torch.float64) for _ in range(3))
    W_O = torch.zeros(2, 1 + copies, width, sum(sizes), dtype=torch.float64)
    gain = SHARP * width**0.5
    before = torch.eye(LENGTH, width, dtype=torch.float64)
    W_Q[0, 0] = gain * place.mT @ before.roll(1, 0)  # place q looks for place q - 1; place 0, for none that it sees
    W_K[0, 0] = place.mT @ before
    W_V[0, 0], W_O[0, 0] = token.mT, previous
    W_Q[1, :copies], W_K[1, :copies] = gain * token.mT, previous.mT
    W_V[1, :copies], W_O[1, :copies] = token.mT, COPY * output
    ends = {"W_E": token.clone(), "W_pos": place.clone(), "W_U": output.mT.contiguous()}
    return Weights(positions="queries_and_keys", W_Q=W_Q, W_K=W_K, W_V=W_V, W_O=W_O, **ends)


def shifter_and_matcher(d_vocab, n_ctx, gain):
    """Two heads by hand: one shifts tokens by one, the next matches on what was shifted.

    The stream has a block for the token, one for the token before it, one for the position; a head's
    space is wide enough for one-hot tokens and positions. Scores of matches: 1000, then `gain`.
    """
    width = max(d_vocab, n_ctx)
    d_model = 2 * d_vocab + n_ctx
    token, before, position = (torch.zeros(size, d_model, dtype=torch.float64) for size in (d_vocab, d_vocab, n_ctx))
    token[:, :d_vocab] = torch.eye(d_vocab)
    before[:, d_vocab : 2 * d_vocab] = torch.eye(d_vocab)
    position[:, 2 * d_vocab :] = torch.eye(n_ctx)
    pad = lambda rows: torch.eye(width, dtype=torch.float64)[: len(rows)]  # noqa: E731
    shifted = torch.eye(width, dtype=torch.float64)[torch.arange(n_ctx).sub(1).clamp(min=0)]
    W_Q = torch.stack([1000 * position.mT @ shifted, gain * token.mT @ pad(token)])
    W_K = torch.stack([position.mT @ pad(position), before.mT @ pad(before)])
    W_V = torch.stack([token.mT @ pad(token)] * 2)
    W_O = torch.stack([pad(before).mT @ before, pad(token).mT @ token])
    return Weights(
        positions="queries_and_keys",
        W_E=token,
        W_U=token.mT,
        W_Q=W_Q[:, None] * math.sqrt(width),
        W_K=W_K[:, None],
        W_V=W_V[:, None],
        W_O=W_O[:, None],
        W_pos=position,
    )
