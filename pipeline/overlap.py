"""Compare parameters that work together, and states with what made them, by the tokens they point at."""

import math
from collections.abc import Iterator

import pandas as pd
import torch
from scipy.stats import norm
from torch import Generator, Tensor
from tqdm import tqdm

from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary import overlaps
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.frames.tensors import sequences_of
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.overlap import OverlapSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.overlap import OVERLAPS
from pipeline.tables.probe import SEQUENCES


def run(settings: OverlapSettings, inputs: Paths, outputs: Paths) -> None:
    """Compare every layer's pairs, and its most active neurons with its output."""
    torch.set_num_threads(settings.threads)
    weights = weights_in(read_parts(WEIGHTS, inputs))
    folded = gains_folded(weights, "folded")
    trace = None
    if weights.ff_keys is not None:
        trace = forward(weights, sequences_of(read(SEQUENCES, inputs), "text")[: settings.sentences])
    generator = Generator().manual_seed(settings.seed)
    layers = tqdm(range(weights.n_layers), desc="layers")
    rows = [
        row | {"layer": layer}
        for layer in layers
        for row in of_layer(settings, weights, folded, trace, layer, generator)
    ]
    write(OVERLAPS, pd.DataFrame(rows), outputs)


def of_layer(
    settings: OverlapSettings, weights: Weights, folded: Weights, trace: Trace | None, layer: int, generator: Generator
) -> Iterator[dict]:
    """Yield a row a kind of pair."""
    by_size, for_it, promoted = (settings.tokens, True), (settings.recalled_tokens, False), []
    for pair, (reading, written) in overlaps.partners(folded, layer).items():
        [left] = overlaps.token_sets(reading, by_size)
        right, *promoted = overlaps.token_sets(written, by_size, *[for_it] * (pair == "key_value"))
        shuffled = right[derangement(len(right), generator)]
        own, strange = overlaps.jaccard(left, right), overlaps.jaccard(left, shuffled)
        yield row(pair, settings.tokens, own, strange, settings.confidence)
    if trace is not None and promoted:
        own, strange = overlaps.recall_of_values(weights, trace, layer, promoted[0], settings.active_neurons, generator)
        yield row("value_hidden", settings.recalled_tokens, own, strange, settings.confidence)


def row(pair: str, k: int, values: Tensor, shuffled: Tensor, confidence: float) -> dict:
    """One kind of pair: mean with its normal interval, and the mean of shuffled pairs."""
    mean, n = float(values.mean()), len(values)
    quantile = float(norm.ppf((1 + confidence) / 2))
    reach = quantile * float(values.std()) / math.sqrt(n) if n > 1 else math.nan
    return {
        "pair": pair,
        "k": k,
        "value": mean,
        "lo": mean - reach,
        "hi": mean + reach,
        "confidence": confidence,
        "chance": float(shuffled.mean()),
        "n": n,
    }


if __name__ == "__main__":
    main(OverlapSettings, run)
