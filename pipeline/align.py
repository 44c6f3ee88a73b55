"""Match the heads of independently trained runs of an experiment: which head of one is which of another?"""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd
import torch
from torch import Generator
from tqdm import tqdm

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.alignment import correlations, matched, raw_space, vocabulary_space
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.frames.tensors import to_frame
from pipeline.frames.weights import weights_of
from pipeline.plumbing.artefacts import Paths, read_file, write
from pipeline.plumbing.stage import main
from pipeline.settings.align import AlignedRun, AlignSettings
from pipeline.tables.align import ALIGNMENT
from pipeline.tables.extract import WEIGHTS


def run(settings: AlignSettings, inputs: Paths, outputs: Paths) -> None:
    """Compare every two runs of an experiment that have a vocabulary in common."""
    torch.set_num_threads(settings.threads)
    files = {path.parent.name: path for path in inputs.all("weights.parquet")}
    frames = [pd.DataFrame(columns=ALIGNMENT.names)]
    for a, b in tqdm([pair for pair in combinations(settings.runs, 2) if comparable(*pair)], desc="pairs"):
        one, other = (gains_folded(weights_of(read_file(WEIGHTS, files[run.weights])), "folded") for run in (a, b))
        for rows in aligned(one, other, Generator().manual_seed(settings.seed)):
            frames.append(rows.assign(experiment=a.experiment, seed_a=a.seed, seed_b=b.seed))
    write(ALIGNMENT, pd.concat(frames[1:] or frames), outputs)


def comparable(a: AlignedRun, b: AlignedRun) -> bool:
    """Whether two runs are of one experiment and vocabulary, but not of one and the same model."""
    return a.experiment == b.experiment and a.vocabulary == b.vocabulary and a.weights != b.weights


def aligned(a: Weights, b: Weights, generator: Generator) -> Iterator[pd.DataFrame]:
    """Yield every pair of heads of two models, by space and matrix."""
    tokens, components = (torch.randperm(n, generator=generator) for n in (a.d_vocab, a.d_model))
    spaces = {
        "vocabulary": (vocabulary_space(a, b), vocabulary_space(a, b, tokens)),
        "raw": (raw_space(a.d_model), raw_space(a.d_model, components)),
    }
    for name, (space, shuffled) in spaces.items():
        by_chance = correlations(a, b, shuffled)
        for matrix, correlation in correlations(a, b, space).items():
            chance = by_chance[matrix][matched(by_chance[matrix])].nanmean()
            rows = to_frame("layer_a head_a layer_b head_b", correlation=correlation, matched=matched(correlation))
            yield rows.assign(space=name, matrix=matrix, chance=float(chance))


if __name__ == "__main__":
    main(AlignSettings, run)
