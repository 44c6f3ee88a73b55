"""What the measure of a claim returns."""

from dataclasses import dataclass

import pandas as pd

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Finding:
    """One claim's number in one run, what it would be by chance, and what shows it."""

    value: float
    evidence: str
    chance: float | None = None
