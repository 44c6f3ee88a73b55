"""What a closed form is worked out from: a network wired by hand, one of its layers, and the sentences it read."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.circuits.closed_forms.mechanism import Followed
from pipeline.circuits.closed_forms.wiring import Construction, Wiring


@dataclass(frozen=True)
class Case:
    """One head of a construction on one set of sentences; of a pair, the head that reads."""

    construction: Construction
    layer: int
    sentences: Sequence[Followed]
    first: int  # the first position that is not [BEGIN]: 0 or 1
    period: int | None  # of random tokens that repeat; None where nothing repeats so
    text: Sequence[Followed]  # the sentences of text, by which some scores weigh what heads do

    @property
    def wiring(self) -> Wiring:
        """What the head attends to and moves."""
        return self.construction.wiring[self.layer]

    @property
    def block(self) -> int:
        """Tokens of the block that repeats.

        Raises:
            ValueError: nothing repeats with a fixed period.
        """
        if self.period is None:
            raise ValueError("block: these sentences have no period; ask where a score is of periodic ones alone")
        return self.period
