"""What every measure is, and how sure: over the seeds of an experiment and the sentences they were measured on."""

import numpy as np
import pandas as pd

from pipeline.claims.bootstrap import paired_difference, resampled, sentence_means
from pipeline.claims.keys import RUN, parts
from pipeline.claims.measures import MEASURE

COLUMNS = ["experiment", *MEASURE, "value", "lo", "hi", "n_seeds"]
Drawn = dict[int, np.ndarray]  # seed -> [1 + resample]: a run's value, then that of each resample of its sentences


def intervals(
    measures: pd.DataFrame, runs: pd.DataFrame, confidence: float, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return each experiment's mean over seeds, and its interval over seeds and sentences, as `bootstrap` has it.

    Args:
        measures: what `measures` returns, of a study.
        runs: RUNS of the study.
        confidence: of the intervals.
        resamples: of the bootstrap.
        generator: draws them.

    Returns:
        Columns COLUMNS; a measure with several periods is its mean over them.
    """
    rows = []
    for measure, experiments in drawn(measures, probes_of(runs), resamples, generator).items():
        for experiment, seeds in experiments.items():
            mean = paired_difference(*stacked(seeds), confidence, generator)  # from 0
            rows.append((experiment, *measure, mean.value, mean.lo, mean.hi, len(seeds)))
    return pd.DataFrame(rows, columns=COLUMNS)


def probes_of(runs: pd.DataFrame) -> dict[tuple[str, int], str]:
    """Return which sentences each run was measured on: the id of what drew them."""
    probes = runs.loc[runs["stage"] == "probe", [*RUN, "id"]]
    return {(experiment, seed): identity for experiment, seed, identity in probes.to_numpy()}


def drawn(
    measures: pd.DataFrame, probes: dict[tuple[str, int], str], resamples: int, generator: np.random.Generator
) -> dict[tuple, dict[str, Drawn]]:
    """Measure every run on resampled sentences, the same ones wherever they were measured on.

    Args:
        measures: what `measures` returns, of a study.
        probes: run -> which sentences it was measured on.
        resamples: how many.
        generator: draws them.

    Returns:
        By measure, experiment and seed.
    """
    counts: dict[tuple, np.ndarray] = {}
    periods: dict[tuple, dict] = {}  # measure -> experiment -> seed -> what it is on each period
    for (*measure, experiment, seed, period), part in parts(measures, [*MEASURE, *RUN, "period"]):
        measure = tuple(None if pd.isna(name) else name for name in measure)
        part = part.sort_values("sentence")
        sentences = (probes[experiment, seed], measure[-1], -1 if pd.isna(period) else period, len(part))
        if sentences not in counts:
            once = np.ones((1, len(part)), int)
            counts[sentences] = np.concatenate([once, resampled(len(part), resamples, generator)])
        values, weights = (part[[name]].to_numpy(float).T for name in ("value", "weight"))
        means = sentence_means(values, weights, counts[sentences])[:, 0]
        periods.setdefault(measure, {}).setdefault(experiment, {}).setdefault(seed, []).append(means)
    return {
        measure: {name: {seed: np.mean(means, 0) for seed, means in runs.items()} for name, runs in experiments.items()}
        for measure, experiments in periods.items()
    }


def stacked(seeds: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Return values [run] and draws [resample, run], by rising seed."""
    together = np.stack([seeds[seed] for seed in sorted(seeds)], 1)
    return together[0], together[1:]
