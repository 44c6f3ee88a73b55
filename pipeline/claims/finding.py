"""What the measure of a claim is given, and what it returns."""

from dataclasses import dataclass

import pandas as pd

from pipeline.claims.crossed import Number

Tables = dict[str, pd.DataFrame]
Share = tuple[float, float]  # from, to: a part of a sequence or of a training, whose whole is (0, 1)


@dataclass(frozen=True)
class Finding:
    """One claim's number in one run, what it would be by chance, and what shows it."""

    number: Number
    evidence: str
    chance: float | None = None
    exact: bool = False  # nothing of it is drawn: of one model the number is all there is to know

    @property
    def value(self) -> float:
        """The number, without what is known of its error."""
        return self.number.value


@dataclass(frozen=True)
class NotMeasured:
    """Why one run says nothing of a claim, though a model of its kind might."""

    reason: str
