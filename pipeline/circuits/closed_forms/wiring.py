"""Networks wired by hand: which head attends to what, and moves what where.

The residual stream has four blocks of orthonormal directions: `token`, one a token, which the embedding
writes and the (tied) unembedding reads; `position`, one a position; `carried`, one a token, for what a
first layer tells a second; and the `spare` rest. In each layer head 0 is the circuit's; the others are
distractors: they attend to everything at random and write to the spare block, where nothing reads.
"""

from dataclasses import dataclass, fields


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
        ends = {"token": self.d_vocab, "position": self.n_ctx, "carried": self.d_vocab}
        slices, start = {}, 0
        for name, width in ends.items():
            slices[name] = slice(start, start + width)
            start += width
        return slices | {"spare": slice(start, self.d_model)}
