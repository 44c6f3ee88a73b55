"""What a constructed network does to a sentence, from its wiring: no weights, no matrices, plain loops.

Only head 0 of each layer counts: distractors write where nothing reads.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.circuits.closed_forms.wiring import Construction, Wiring

Pattern = Float[np.ndarray, "query key"]
Seen = Float[np.ndarray, "query d_vocab"]  # how much of each token
Blocks = dict[str, Seen]  # what each block of the stream holds


@dataclass(frozen=True)
class Followed:
    """What the circuit computes on one sentence."""

    tokens: Sequence[int]
    patterns: list[Pattern]  # a layer each
    written: list[Seen]  # a layer each, what the head adds to its block
    logits: Seen

    def losses(self) -> list[float]:
        """Return the loss, nats, of each token but the first."""
        return [
            math.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[token]
            for logits, token in zip(self.logits, self.tokens[1:], strict=False)
        ]


def follow(
    construction: Construction,
    tokens: Sequence[int],
    silent: Collection[int] = (),
    patterns: Sequence[Pattern] | None = None,
    cut: str = "",
) -> Followed:
    """Work out what the circuit does on one sentence.

    Args:
        construction: the network.
        tokens: the sentence.
        silent: layers whose head writes nothing.
        patterns: of every layer, to attend with in place of its own.
        cut: "Q", "K" or "V": what no longer reads what earlier heads wrote.
    """
    d_vocab = construction.d_vocab
    blocks = {"token": np.eye(d_vocab)[list(tokens)], "carried": np.zeros((len(tokens), d_vocab))}
    embedded, attended, everything_written = dict(blocks), [], []
    for layer, wiring in enumerate(construction.wiring):
        queries, keys, values = (embedded if side == cut else blocks for side in "QKV")
        pattern = patterns[layer] if patterns else attention(construction, wiring, queries, keys)
        written = np.zeros((len(tokens), d_vocab))
        if layer not in silent:
            written = moved(construction, wiring, pattern @ values[wiring.moves[0]])
        blocks = blocks | {wiring.moves[1]: blocks[wiring.moves[1]] + written}
        attended.append(pattern)
        everything_written.append(written)
    return Followed(tokens, attended, everything_written, blocks["token"])


def attention(construction: Construction, wiring: Wiring, queries: Blocks, keys: Blocks) -> Pattern:
    """Return the pattern of a head whose queries and keys read these blocks."""
    length = len(keys["token"])
    pattern = np.zeros((length, length))
    for query in range(length):
        scores = [score(construction, wiring, (queries, query), (keys, key)) for key in range(query + 1)]
        total = sum(map(math.exp, scores))
        pattern[query, : query + 1] = [math.exp(logit) / total for logit in scores]
    return pattern


def score(construction: Construction, wiring: Wiring, query: tuple[Blocks, int], key: tuple[Blocks, int]) -> float:
    """Return the score of one key; each side is what it reads, and a position."""
    if wiring.attends == "match":
        looked_for, held = query[0][wiring.query][query[1]], key[0][wiring.key][key[1]]
        return construction.match_gain * float(looked_for @ held)
    if wiring.attends == "back":
        return construction.position_gain * (key[1] == query[1] - construction.offset)
    return 0.0


def moved(construction: Construction, wiring: Wiring, seen: Seen) -> Seen:
    """Return what a head writes that has seen so much of each token."""
    gain = wiring.sign * (construction.copy_gain if wiring.moves[1] == "token" else 1.0)
    written = np.zeros_like(seen)
    for token in range(construction.d_vocab):
        written[:, (token + wiring.shift) % construction.d_vocab] += gain * seen[:, token]
    return written
