"""Two models head by head, two studies claim by claim."""

from collections.abc import Iterator

import pandas as pd
import torch

from pipeline.ask.model import Model
from pipeline.ask.printing import Section
from pipeline.ask.study import study_in
from pipeline.circuits.vocabulary.alignment import correlations, matched, vocabulary_space
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.frames.tensors import to_frame

KEY = ["experiment", "claim"]
SHOWN = 40  # heads on a screen


def of_models(a: Model, b: Model) -> Iterator[Section]:
    """Which head of one is which of the other, by their circuits over the vocabulary that both read.

    Raises:
        ValueError: their vocabularies differ.
    """
    if list(a.shown) != list(b.shown):
        raise ValueError(
            f"{a.name} and {b.name} have different vocabularies, over which their heads cannot be compared"
        )
    one, other = gains_folded(a.weights), gains_folded(b.weights)
    order = torch.randperm(one.d_vocab, generator=torch.Generator().manual_seed(0))
    by_chance = correlations(one, other, vocabulary_space(one, other, order))
    for matrix, correlation in correlations(one, other, vocabulary_space(one, other)).items():
        if matrix not in ("OV", "QK"):
            continue
        chance = float(by_chance[matrix][matched(by_chance[matrix])].nanmean())
        rows = to_frame("layer_a head_a layer_b head_b", correlation=correlation, matched=matched(correlation))
        rows = rows.assign(matrix=matrix, chance=chance)
        pairs = rows[rows["matched"]]
        shown = pd.DataFrame(
            {
                "head of A": pairs["layer_a"].astype(str) + "." + pairs["head_a"].astype(str),
                "head of B": pairs["layer_b"].astype(str) + "." + pairs["head_b"].astype(str),
                "correlation": pairs["correlation"],
            }
        ).sort_values("correlation", ascending=False)
        note = f"matched so that the sum is largest; of shuffled tokens the mean is {chance:.3g}; {len(shown)} pairs"
        yield Section(f"{matrix} counterparts", rows, shown.head(SHOWN), note)


def of_studies(a: str, b: str) -> Iterator[Section]:
    """Claims that both judged, those whose verdicts differ first."""
    tables = [study_in(name).table("claims") for name in (a, b)]
    both = tables[0].merge(tables[1], on=KEY, suffixes=("_a", "_b"))
    both["differs"] = both["verdict_a"] != both["verdict_b"]
    both = both.sort_values(["differs", *KEY], ascending=[False, True, True])
    shown = both[[*KEY, "value_a", "value_b", "verdict_a", "verdict_b"]]
    note = f"{both['differs'].sum()} of {len(both)} verdicts differ"
    yield Section("Claims", both, shown, note)
