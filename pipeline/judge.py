"""Say what the study's numbers mean: what each head is, what an experiment changed, which claims hold."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.claims.catalogue import CLAIMS, Claim
from pipeline.claims.effects import effects
from pipeline.claims.emergence import emergence
from pipeline.claims.finding import Tables
from pipeline.claims.intervals import intervals
from pipeline.claims.matching import head_matches
from pipeline.claims.order import emergence_order
from pipeline.claims.roles import head_roles
from pipeline.claims.validity import validity
from pipeline.claims.verdicts import RULE, t_interval, verdict
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.stage import main
from pipeline.settings.judge import JudgeSettings
from pipeline.tables.judge.claims import CLAIMS as CLAIMS_TABLE
from pipeline.tables.judge.effects import EFFECTS, INTERVALS
from pipeline.tables.judge.emergence import EMERGENCE, EMERGENCE_ORDER
from pipeline.tables.judge.head_matches import HEAD_MATCHES
from pipeline.tables.judge.head_roles import HEAD_ROLES
from pipeline.tables.judge.validity import VALIDITY
from pipeline.tables.registry import OF_A_RUN
from pipeline.tables.summarise import RUNS

STAGES = ("decompose", "score", "ablate", "score_checkpoints", "challenge")  # whose tables say anything of heads


def run(settings: JudgeSettings, inputs: Paths, outputs: Paths) -> None:
    """Read the study once, judge it from every side."""
    of_runs = [table.with_run() for stage in STAGES for table in OF_A_RUN[stage]]
    tables = {table.name: read(table, inputs) for table in (*of_runs, RUNS)}
    roles = head_roles(tables, **settings.roles.model_dump())
    write(HEAD_ROLES, roles, outputs)
    write(HEAD_MATCHES, head_matches(tables["head_scores"], settings.experiments[0]), outputs)
    draws = settings.confidence, settings.resamples, np.random.default_rng(settings.seed)
    write(INTERVALS, intervals(tables, *draws), outputs)
    write(EFFECTS, effects(tables, settings.experiments[0], *draws), outputs)
    names = ("head_scores", "ablations", "head_pairs", "edges")
    draws = settings.validity_resamples, settings.permutations, settings.seed
    write(VALIDITY, validity(*(tables[name] for name in names), *draws), outputs)
    tables["emergence"] = emergence(
        tables["checkpoint_scores"], settings.smallest_rise.model_dump(), settings.confidence
    )
    write(EMERGENCE, tables["emergence"], outputs)
    write(EMERGENCE_ORDER, emergence_order(tables["emergence"], settings.confidence), outputs)
    claims = [judged(claim, experiment, tables, settings) for experiment in settings.experiments for claim in CLAIMS]
    write(CLAIMS_TABLE, pd.DataFrame(claims), outputs)


def judged(claim: Claim, experiment: str, tables: Tables, settings: JudgeSettings) -> dict:
    """Measure one claim on every seed of one experiment, and compare the interval with the threshold."""
    measured = [(seed, claim.measure(run)) for seed, run in runs_of(tables, experiment)]
    found = [(seed, finding) for seed, finding in measured if finding is not None]
    value, lo, hi = t_interval([finding.value for _, finding in found], settings.confidence)
    chances = [finding.chance for _, finding in found if finding.chance is not None]
    chance = sum(chances) / len(chances) if chances else None
    threshold = getattr(settings.thresholds, claim.name)
    return {
        "experiment": experiment,
        "claim": claim.name,
        "statement": claim.statement,
        "statistic": claim.statistic,
        "value": value,
        "lo": lo,
        "hi": hi,
        "chance": chance,
        "threshold": threshold,
        "verdict": verdict(lo, hi, threshold, chance) if found else "not applicable",
        "rule": RULE,
        "seeds": len(found),
        "evidence": "; ".join(f"seed {seed}: {finding.evidence}" for seed, finding in found),
    }


def runs_of(tables: Tables, experiment: str) -> Iterator[tuple[int, Tables]]:
    """Yield each seed of an experiment with its own rows of every table."""
    mine = {name: rows[rows["experiment"] == experiment] for name, rows in tables.items()}
    for seed in sorted(mine[RUNS.name]["seed"].unique()):
        yield int(seed), {name: rows[rows["seed"] == seed] for name, rows in mine.items()}


if __name__ == "__main__":
    main(JudgeSettings, run)
