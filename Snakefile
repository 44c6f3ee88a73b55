"""Every file of a study, what makes it, and what it is made from."""

import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.plan import plan, spec_with
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE

try:
    PLAN = plan(config)
except ConfigError as error:
    sys.exit(f"config error: {error}")

# Jobs find this Python's packages even where its environment is not activated.
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

STUDY = f"results/studies/{PLAN.study}/"
RUN_TABLES = {stage: [table.name for table in tables] for stage, tables in OF_A_RUN.items()}
TABLES = [*(table for tables in RUN_TABLES.values() for table in tables), "runs"]
VERDICTS = [table.name for table in OF_JUDGE]
EXPERIMENT_FIGURES = [
    "four_terms",
    "term_shares",
    "offset_profiles",
    "head_scores",
    "training_curve",
    "eigenvalues",
    "composition",
    "virtual_heads",
    "loss_by_position",
    "head_roles",
    "ablations",
    "paths",
    "validity",
    "emergence",
    "challenge_scores",
    "vocab_pairs",
]
STUDY_FIGURES = ["claims", "comparison", "effects"]
# What an ordinary study measures stands apart from what a small one does.
BENCHMARKS = "results/benchmarks/" + ("" if PLAN.study == "paper" else f"{PLAN.study}/")


def job(stage, wildcards):
    return PLAN.jobs[stage, wildcards.id]


def spec(stage):
    return lambda wildcards: job(stage, wildcards).spec


def files(stage):
    return lambda wildcards: job(stage, wildcards).files


def threads_of(stage):
    return lambda wildcards: job(stage, wildcards).threads


def made_by(reader, maker, *names):
    """The files that the reader's job needs of the maker's."""
    return lambda wildcards: [
        f"results/store/{maker}/{job(reader, wildcards).made_from[maker]}/{name}" for name in names
    ]


def gate(reader):
    """The checks that the reader's model must have passed."""
    # Not as `ancient`: the engine would then overlook that the reader itself changed, where verify runs again.
    return made_by(reader, "verify", "checks.parquet")


def parts_of_project(wildcards):
    """What the jobs that share a model's layers have made; nothing where there is only one."""
    parts = json.loads(job("project", wildcards).spec)["settings"]["parts"]
    folders = [f"results/store/project/{wildcards.id}/part_{part}" for part in range(parts) if parts > 1]
    return expand("{folder}/{table}.parquet", folder=folders, table=RUN_TABLES["project"])


def figures(folder, names):
    return [f"{STUDY}figures/{folder}{name}.{kind}" for name in names for kind in ("svg", "png")]


def times_of_jobs():
    """What the engine noted of every job's time, where it has."""
    of_runs = [path for stage, id in PLAN.jobs for path in sorted(Path(f"results/store/{stage}/{id}").glob("*.tsv"))]
    return [*of_runs, *sorted(Path(f"{STUDY}logs").glob("*.tsv"))]


def command(stage, inputs="{input:q}"):
    """The stage's command line; what a failed job said last is shown at once, and its log keeps all."""
    # The spec is one plain string, because the engine compares parameters without their names.
    return (
        f"python -m pipeline.{stage} --spec {{params.spec:q}} --inputs {inputs} --outputs {{output:q}}"
        " > {log:q} 2>&1 || {{ echo; tail -n 12 {log:q}; echo; exit 1; }} >&2"
    )


RESULTS_OF_A_STUDY = [
    *expand(f"{STUDY}{{table}}.parquet", table=[*TABLES, *VERDICTS, "alignment"]),
    *(figures(f"{experiment}/", EXPERIMENT_FIGURES) for experiment in PLAN.experiments),
    *figures("", STUDY_FIGURES),
]
# One job runs every stage of every model: they are small, and starting takes longer than measuring.
KNOWN_ANSWERS = [f"{STUDY}known_answers.parquet", *figures("", ["known_answers"])]


wildcard_constraints:
    id="[0-9a-f]{12}",
    part="[0-9]+",


localrules:
    all,
    benchmark,


rule all:
    default_target: True
    input:
        KNOWN_ANSWERS if PLAN.study == "known_answers" else RESULTS_OF_A_STUDY,


rule prepare:
    input:
        files("prepare"),
    output:
        "results/store/prepare/{id}/tokenizer.json",
        "results/store/prepare/{id}/corpus.parquet",
        "results/store/prepare/{id}/tokens.parquet",
        "results/store/prepare/{id}/vocabulary.parquet",
    log:
        "results/store/prepare/{id}/prepare.log",
    benchmark:
        "results/store/prepare/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("prepare")
    params:
        spec=spec("prepare"),
    shell:
        command("prepare")


rule probe:
    input:
        made_by(
            "probe",
            "prepare",
            "tokenizer.json",
            "tokens.parquet",
            "vocabulary.parquet",
        ),
    output:
        "results/store/probe/{id}/sequences.parquet",
    log:
        "results/store/probe/{id}/probe.log",
    benchmark:
        "results/store/probe/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("probe")
    params:
        spec=spec("probe"),
    shell:
        command("probe")


rule train:
    input:
        files("train"),
        made_by(
            "train",
            "prepare",
            "tokenizer.json",
            "tokens.parquet",
            "vocabulary.parquet",
        ),
    output:
        "results/store/train/{id}/config.json",
        "results/store/train/{id}/model.safetensors",
        "results/store/train/{id}/tokenizer.json",
        "results/store/train/{id}/checkpoints.safetensors",
        "results/store/train/{id}/training_curve.parquet",
    log:
        "results/store/train/{id}/train.log",
    benchmark:
        "results/store/train/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("train")
    params:
        spec=spec("train"),
    shell:
        command("train")


rule extract:
    input:
        made_by("extract", "train", "config.json", "model.safetensors"),
    output:
        "results/store/extract/{id}/weights.parquet",
    log:
        "results/store/extract/{id}/extract.log",
    benchmark:
        "results/store/extract/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("extract")
    params:
        spec=spec("extract"),
    shell:
        command("extract")


rule verify:
    input:
        made_by("verify", "probe", "sequences.parquet"),
        made_by("verify", "train", "config.json", "model.safetensors"),
        made_by("verify", "extract", "weights.parquet"),
    output:
        expand("results/store/verify/{{id}}/{table}.parquet", table=RUN_TABLES["verify"]),
    log:
        "results/store/verify/{id}/verify.log",
    benchmark:
        "results/store/verify/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("verify")
    params:
        spec=spec("verify"),
    shell:
        command("verify")


rule decompose:
    input:
        made_by("decompose", "probe", "sequences.parquet"),
        made_by("decompose", "train", "config.json"),
        made_by("decompose", "extract", "weights.parquet"),
        gate("decompose"),
    output:
        expand("results/store/decompose/{{id}}/{table}.parquet", table=RUN_TABLES["decompose"]),
    log:
        "results/store/decompose/{id}/decompose.log",
    benchmark:
        "results/store/decompose/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("decompose")
    params:
        spec=spec("decompose"),
    shell:
        command("decompose")


# One of several jobs that share a model's layers, if so many are asked for.
rule project_part:
    input:
        made_by("project", "prepare", "vocabulary.parquet"),
        made_by("project", "extract", "weights.parquet"),
    output:
        temp(expand("results/store/project/{{id}}/part_{{part}}/{table}.parquet", table=RUN_TABLES["project"])),
    log:
        "results/store/project/{id}/part_{part}.log",
    benchmark:
        "results/store/project/{id}/part_{part}.tsv"
    conda:
        "environment.yml"
    threads: threads_of("project")
    params:
        spec=lambda wildcards: spec_with(job("project", wildcards).spec, part=int(wildcards.part)),
    shell:
        command("project")


rule project:
    input:
        made_by("project", "prepare", "vocabulary.parquet"),
        made_by("project", "extract", "weights.parquet"),
        parts_of_project,
    output:
        expand("results/store/project/{{id}}/{table}.parquet", table=RUN_TABLES["project"]),
    log:
        "results/store/project/{id}/project.log",
    benchmark:
        "results/store/project/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("project")
    params:
        spec=spec("project"),
    shell:
        command("project")


rule score:
    input:
        made_by("score", "prepare", "vocabulary.parquet"),
        made_by("score", "probe", "sequences.parquet"),
        made_by("score", "train", "config.json", "checkpoints.safetensors"),
        made_by("score", "extract", "weights.parquet"),
        gate("score"),
    output:
        expand("results/store/score/{{id}}/{table}.parquet", table=RUN_TABLES["score"]),
    log:
        "results/store/score/{id}/score.log",
    benchmark:
        "results/store/score/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("score")
    params:
        spec=spec("score"),
    shell:
        command("score")


rule ablate:
    input:
        made_by("ablate", "probe", "sequences.parquet"),
        made_by("ablate", "extract", "weights.parquet"),
        gate("ablate"),
    output:
        expand("results/store/ablate/{{id}}/{table}.parquet", table=RUN_TABLES["ablate"]),
    log:
        "results/store/ablate/{id}/ablate.log",
    benchmark:
        "results/store/ablate/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("ablate")
    params:
        spec=spec("ablate"),
    shell:
        command("ablate")


rule score_checkpoints:
    input:
        made_by("score_checkpoints", "probe", "sequences.parquet"),
        made_by("score_checkpoints", "prepare", "vocabulary.parquet"),
        made_by("score_checkpoints", "train", "config.json", "checkpoints.safetensors"),
        gate("score_checkpoints"),
    output:
        expand("results/store/score_checkpoints/{{id}}/{table}.parquet", table=RUN_TABLES["score_checkpoints"]),
    log:
        "results/store/score_checkpoints/{id}/score_checkpoints.log",
    benchmark:
        "results/store/score_checkpoints/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("score_checkpoints")
    params:
        spec=spec("score_checkpoints"),
    shell:
        command("score_checkpoints")


rule challenge:
    input:
        made_by("challenge", "prepare", "tokens.parquet", "vocabulary.parquet"),
        made_by("challenge", "extract", "weights.parquet"),
        gate("challenge"),
    output:
        expand("results/store/challenge/{{id}}/{table}.parquet", table=RUN_TABLES["challenge"]),
    log:
        "results/store/challenge/{id}/challenge.log",
    benchmark:
        "results/store/challenge/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("challenge")
    params:
        spec=spec("challenge"),
    shell:
        command("challenge")


rule overlap:
    input:
        made_by("overlap", "probe", "sequences.parquet"),
        made_by("overlap", "extract", "weights.parquet"),
    output:
        expand("results/store/overlap/{{id}}/{table}.parquet", table=RUN_TABLES["overlap"]),
    log:
        "results/store/overlap/{id}/overlap.log",
    benchmark:
        "results/store/overlap/{id}/benchmark.tsv"
    conda:
        "environment.yml"
    threads: threads_of("overlap")
    params:
        spec=spec("overlap"),
    shell:
        command("overlap")


rule align:
    input:
        [f"results/store/extract/{id}/weights.parquet" for id in PLAN.ids("extract")],
    output:
        f"{STUDY}alignment.parquet",
    log:
        f"{STUDY}logs/align.log",
    benchmark:
        f"{STUDY}logs/align.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["align"]
    params:
        spec=PLAN.study_specs["align"],
    shell:
        command("align")


rule summarise:
    input:
        [
            f"results/store/{stage}/{id}/{table}.parquet"
            for stage, tables in RUN_TABLES.items()
            for id in PLAN.ids(stage)
            for table in tables
        ],
        [
            f"results/store/{stage}/{id}/{name}"
            for stage, name in (
                ("probe", "sequences.parquet"),
                ("extract", "weights.parquet"),
            )
            for id in PLAN.ids(stage)
        ],
    output:
        expand(f"{STUDY}{{table}}.parquet", table=TABLES),
        f"{STUDY}request.json",
    log:
        f"{STUDY}logs/summarise.log",
    benchmark:
        f"{STUDY}logs/summarise.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["summarise"]
    params:
        spec=PLAN.study_specs["summarise"],
    shell:
        command("summarise")


rule judge:
    input:
        expand(f"{STUDY}{{table}}.parquet", table=TABLES),
    output:
        expand(f"{STUDY}{{table}}.parquet", table=VERDICTS),
    log:
        f"{STUDY}logs/judge.log",
    benchmark:
        f"{STUDY}logs/judge.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["judge"]
    params:
        spec=PLAN.study_specs["judge"],
    shell:
        command("judge")


rule render:
    input:
        expand(f"{STUDY}{{table}}.parquet", table=[*TABLES, *VERDICTS]),
    output:
        [figures("{experiment}/", EXPERIMENT_FIGURES)],
    log:
        f"{STUDY}logs/render_{{experiment}}.log",
    benchmark:
        f"{STUDY}logs/render_{{experiment}}.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["render"]
    params:
        spec=PLAN.study_specs["render"],
    shell:
        command("render")


rule render_study:
    input:
        expand(f"{STUDY}{{table}}.parquet", table=[*TABLES, *VERDICTS]),
    output:
        figures("", STUDY_FIGURES),
    log:
        f"{STUDY}logs/render_study.log",
    benchmark:
        f"{STUDY}logs/render_study.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["render"]
    params:
        spec=PLAN.study_specs["render"],
    shell:
        command("render")


rule known_answers:
    output:
        KNOWN_ANSWERS,
    log:
        f"{STUDY}logs/known_answers.log",
    benchmark:
        f"{STUDY}logs/known_answers.tsv"
    conda:
        "environment.yml"
    threads: PLAN.study_threads["known_answers"]
    params:
        spec=PLAN.study_specs["known_answers"],
    shell:
        command("known_answers")


# Not part of `all`: its results are times, and hold for one machine.
rule benchmark:
    input:
        [f"{BENCHMARKS}{name}.{kind}" for name in ("benchmark", "stages") for kind in ("parquet", "svg", "png")],


# Where the time of this study went.
rule timing:
    input:
        rules.all.input,
    output:
        [f"{BENCHMARKS}stages.{kind}" for kind in ("parquet", "svg", "png")],
    log:
        f"{BENCHMARKS}stages.log",
    conda:
        "environment.yml"
    threads: PLAN.study_threads["timing"]
    params:
        spec=PLAN.study_specs["timing"],
        times=lambda wildcards: times_of_jobs(),
    shell:
        command("timing", "{params.times:q}")


# The exact search for the strongest pairs, against plainer ways; it reads nothing of the study.
rule search:
    output:
        [f"{BENCHMARKS}benchmark.{kind}" for kind in ("parquet", "svg", "png")],
    log:
        f"{BENCHMARKS}benchmark.log",
    conda:
        "environment.yml"
    threads: PLAN.study_threads["benchmark"]
    params:
        spec=PLAN.study_specs["benchmark"],
    shell:
        command("benchmark")
