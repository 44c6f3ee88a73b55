"""The verdict that follows from an interval."""

import pandas as pd

from pipeline.circuits.chance.false_discovery import false_discovery

RULE = (
    "reproduced: the interval over seeds and sentences lies wholly at or above the threshold, and above the chance "
    "level where one is known; not reproduced: wholly below the threshold, or not above chance; undecided: it "
    "straddles either, or there is one seed; not applicable: the model has no such part; not measured: for the reason "
    "that the evidence names. Of one model, a number of which nothing is drawn is its own interval"
)


def verdict(lo: float, hi: float, threshold: float, chance: float | None) -> str:
    """Compare an interval with a threshold and, where one is known, with chance, by RULE; NaN leaves it undecided."""
    if lo >= threshold and (chance is None or lo > chance):
        return "reproduced"
    if hi < threshold or (chance is not None and hi <= chance):
        return "not reproduced"
    return "undecided"


def corrected(claims: pd.DataFrame) -> pd.DataFrame:
    """Return claims with the q of their p, by Benjamini and Hochberg over all of them; without a p there is none."""
    return claims.assign(q=false_discovery(claims["p"].to_numpy(float)))
