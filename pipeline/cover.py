"""Say how much of each head's effect each of its roles explains, on held-out text."""

from itertools import product

import pandas as pd
import torch
from torch import Generator

from pipeline.circuits.causes import coverage
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.claims.best_heads import JUDGING, rankings, spread_heads
from pipeline.frames.tensors import sequences_of, to_frame
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.cover import CoverSettings
from pipeline.tables.cover import ROLE_COVERAGE
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score import HEAD_SCORES, SENTENCE_SCORES


def run(settings: CoverSettings, inputs: Paths, outputs: Paths) -> None:
    """Keep of each head what each role explains; a row a head and role, null where that was not measured."""
    torch.set_num_threads(settings.threads)
    weights = weights_in(read_parts(WEIGHTS, inputs))
    first = int((read(VOCABULARY, inputs)["role"] == "begin").any())
    ranked = rankings({table.name: read(table, inputs) for table in (HEAD_SCORES, SENTENCE_SCORES)})
    every_head = list(product(range(weights.n_layers), range(weights.n_heads)))
    heads = spread_heads(every_head, ranked, settings.heads, settings.best_heads)
    rows = pd.DataFrame(product(heads, coverage.ROLES), columns=["place", "role"])
    rows[["layer", "head"]] = rows.pop("place").to_list()
    rows = rows.assign(eval_set="text", confidence=settings.confidence)
    tokens = sequences_of(read(SEQUENCES, inputs), "text")[JUDGING::2][: settings.sentences]
    if weights.attends == "back" and weights.ln1_post_gain is None and len(tokens):
        rows = rows.merge(measured(settings, weights, heads, tokens, first), how="left", on=["layer", "head", "role"])
    else:
        why = "there is no second sentence" if weights.attends == "back" else "the model attends both ways"
        why = why if weights.ln1_post_gain is None else "a norm stands behind the model's heads"
        print(f"{why}: nothing says how much of a head its roles explain")
    write(ROLE_COVERAGE, rows.reindex(columns=ROLE_COVERAGE.names).fillna({"n": 0}).astype({"n": "int64"}), outputs)


def measured(
    settings: CoverSettings, weights: Weights, heads: list[Head], tokens: torch.Tensor, first: int
) -> pd.DataFrame:
    """Return what is known of each head and role that these sequences can have."""
    masks = coverage.attention_roles(tokens, first)
    places = torch.linspace(1, tokens.shape[1] - 1, min(settings.positions, tokens.shape[1] - 1)).round().long()
    found = coverage.role_divergences(
        weights,
        tokens,
        heads,
        masks,
        coverage.token_directions(gains_folded(weights, "folded_centred")),
        places,
        settings.draws,
        Generator().manual_seed(settings.seed),
        settings.batch,
    )
    counts = resampled_counts(len(tokens), settings.resamples, Generator().manual_seed(settings.seed))
    compared = len(places) * len(tokens)
    shares = coverage.shares(found, counts, settings.confidence, settings.least_effect * compared)
    effect = (found.ablated.sum(-1) / compared).expand_as(shares.value)
    frame = to_frame("role place", effect=effect, mass=found.mass.mean(-1), **shares._asdict())
    frame["role"] = frame["role"].map(dict(enumerate([*masks, coverage.COPYING])))
    frame[["layer", "head"]] = [heads[place] for place in frame.pop("place")]
    return frame.rename(columns={"value": "share"}).assign(n=compared)


if __name__ == "__main__":
    main(CoverSettings, run)
