"""Say what the study's numbers mean: what each head is, what an experiment changed, which claims hold."""

from collections.abc import Iterator

import pandas as pd
from scipy import special

from pipeline.claims.catalogue import CLAIMS, Claim
from pipeline.claims.crossed import crossed
from pipeline.claims.effects import effects
from pipeline.claims.emergence import emergence
from pipeline.claims.finding import Finding, NotMeasured, Tables
from pipeline.claims.foretelling import foretelling
from pipeline.claims.intervals import intervals
from pipeline.claims.keys import of_unit
from pipeline.claims.matching import head_matches
from pipeline.claims.measured import MEASURED
from pipeline.claims.measures import measures, with_probes
from pipeline.claims.order import emergence_order
from pipeline.claims.roles import head_roles
from pipeline.claims.validity import validity
from pipeline.claims.verdicts import RULE, corrected, verdict
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.stage import main
from pipeline.settings.judge import JudgeSettings
from pipeline.tables.judge.claims import CLAIMS as CLAIMS_TABLE
from pipeline.tables.judge.effects import EFFECTS, INTERVALS
from pipeline.tables.judge.emergence import EMERGENCE, EMERGENCE_ORDER
from pipeline.tables.judge.head_matches import HEAD_MATCHES
from pipeline.tables.judge.head_roles import HEAD_ROLES
from pipeline.tables.judge.validity import FORETELLING, VALIDITY
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.registry import OF_A_RUN, TABLES
from pipeline.tables.summarise import RUNS

STAGES = ("decompose", "score", "ablate", "score_checkpoints", "challenge")  # whose tables say anything of heads


def run(settings: JudgeSettings, inputs: Paths, outputs: Paths) -> None:
    """Read the study once, judge it from every side."""
    of_runs = [table.with_run() for table in (*(table for stage in STAGES for table in OF_A_RUN[stage]), VOCABULARY)]
    tables = with_probes({table.name: read(table, inputs) for table in (*of_runs, RUNS)})
    for name, column, unit in (("vocab_pairs", "head", settings.head), ("vocab_units", "unit", settings.neuron)):
        tables[name] = of_unit(read(TABLES[name].with_run(), inputs), column, unit)  # all of a study fill memory
    base, confidence, significance = settings.experiments[0], settings.confidence, settings.significance
    noted = {"confidence": confidence, "significance": significance}

    roles = head_roles(tables, significance, confidence, **settings.roles.model_dump())
    write(HEAD_ROLES, roles.assign(**noted), outputs)
    write(HEAD_MATCHES, head_matches(tables["head_scores"], base), outputs)

    measured = measures(tables, settings.early, settings.late)
    write(INTERVALS, intervals(measured, confidence).assign(confidence=confidence), outputs)
    write(EFFECTS, effects(measured, tables["runs"], base, confidence).assign(**noted), outputs)

    scores, ablations, pairs, edges = (tables[name] for name in ("head_scores", "ablations", "head_pairs", "edges"))
    draws = settings.validity_resamples, settings.permutations, confidence, settings.seed
    best = foretelling(scores, ablations, pairs, edges, settings.validity_resamples, confidence, settings.seed)
    write(FORETELLING, best.assign(confidence=confidence), outputs)
    write(VALIDITY, validity(scores, ablations, pairs, edges, *draws).assign(**noted), outputs)

    smallest = settings.smallest_rise.model_dump()
    events = emergence(tables["checkpoint_scores"], smallest, confidence, settings.fewest_checkpoints)
    write(EMERGENCE, events.assign(confidence=confidence), outputs)
    write(EMERGENCE_ORDER, emergence_order(events, confidence).assign(confidence=confidence), outputs)

    tables["emergence"] = events
    runs = {experiment: dict(runs_of(tables, experiment)) for experiment in settings.experiments}
    claims = [judged(claim, experiment, of_it, settings) for experiment, of_it in runs.items() for claim in CLAIMS]
    write(CLAIMS_TABLE, corrected(pd.DataFrame(claims)).assign(**noted, power=settings.power), outputs)


def judged(claim: Claim, experiment: str, runs: dict[int, Tables], settings: JudgeSettings) -> dict:
    """Measure one claim on every seed of one experiment, and compare the interval with the threshold.

    Args:
        claim: which.
        experiment: whose.
        runs: the tables of each of its seeds.
        settings: of the stage.
    """
    given = {name: getattr(settings, name) for name in claim.settings}
    measured = [(seed, MEASURED[claim.name](run, **given)) for seed, run in runs.items()]
    findings = {seed: finding for seed, finding in measured if isinstance(finding, Finding)}
    reasons = {seed: finding.reason for seed, finding in measured if isinstance(finding, NotMeasured)}
    said = {seed: finding.evidence for seed, finding in findings.items()} | reasons
    mean = crossed([finding.number for finding in findings.values()])
    lo, hi = mean.interval(settings.confidence)
    if len(findings) == 1 and all(finding.exact for finding in findings.values()):
        lo = hi = mean.value
    chances = [finding.chance for finding in findings.values() if finding.chance is not None]
    chance = sum(chances) / len(chances) if chances else None
    threshold = getattr(settings.thresholds, claim.name)
    below = mean.p_value(threshold) / 2
    return {
        "experiment": experiment,
        "claim": claim.name,
        "statement": claim.statement,
        "statistic": claim.statistic.format(**given),
        "value": mean.value,
        "lo": lo,
        "hi": hi,
        "of_sentences": mean.of_sentences**0.5 * special.ndtri((1 + settings.confidence) / 2) if findings else None,
        "chance": chance,
        "threshold": threshold,
        "since": getattr(settings.since, claim.name).isoformat(),
        "least_shown": mean.least_shown(settings.confidence, settings.power),
        "p": below if mean.value >= threshold else 1 - below,
        "verdict": verdict(lo, hi, threshold, chance) if findings else "not measured" if reasons else "not applicable",
        "rule": RULE,
        "n_seeds": len(findings),
        "evidence": "; ".join(f"seed {seed}: {words}" for seed, words in sorted(said.items())),
    }


def runs_of(tables: Tables, experiment: str) -> Iterator[tuple[int, Tables]]:
    """Yield each seed of an experiment with its own rows of every table."""
    mine = {name: rows[rows["experiment"] == experiment] for name, rows in tables.items()}
    for seed in sorted(mine[RUNS.name]["seed"].unique()):
        yield int(seed), {name: rows[rows["seed"] == seed] for name, rows in mine.items()}


if __name__ == "__main__":
    main(JudgeSettings, run)
