# The plan of what was asked for, and what all rules have in common.

import json

from pipeline.plumbing import disk, graph
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.freeze import keep, put_on_paths
from pipeline.plumbing.making import hold
from pipeline.plumbing.plan import Plan, spec_with
from pipeline.plumbing.intact import beside
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT, OF_KNOWN_ANSWERS

if workflow.is_main_process:
    from pipeline.plumbing.planner import plan
    from pipeline.plumbing.request import entries_of, refuse_twice

    try:
        refuse_twice(entries_of(sys.argv))
        PLAN = plan(config)
    except ConfigError as error:
        sys.exit(f"config error: {error}")
    os.environ[PLAN_VARIABLE] = str(keep(PLAN.to_json(), FROZEN))
    if Path(PLAN.folder).exists() and not Path(".snakemake/metadata").exists():
        told = "what Snakemake knew of it, in .snakemake, is gone: it will not see what was made with other settings or code"
        print(f"{PLAN.folder}: {told}; python -m pipeline.plumbing.audit does", file=sys.stderr)
else:
    PLAN = Plan.from_json(Path(os.environ[PLAN_VARIABLE]).read_text())

put_on_paths(FROZEN)


# Not before: only now is it known which jobs run.
onstart:
    made = [str(file) for file in workflow.persistence.all_outputfiles()]
    if told := disk.shut([*made, ".snakemake/metadata/record"]):
        sys.exit(told)
    try:
        hold(made, map(str, workflow.persistence.all_inputfiles()))
    except ConfigError as error:
        sys.exit(str(error))
    # With a limit of jobs a second, which nothing here needs, Snakemake sets a timer whenever it looks for jobs to run,
    # and looks again when it ends: once a second for every job that has ended, at last on a core of its own.
    workflow.scheduler.job_rate_limiter = None


wildcard_constraints:
    id="[0-9a-f]{12}",
    part="[0-9]+",


# The spec is one plain string, because Snakemake compares parameters without their names. What a failed job said
# last is shown at once, and its log keeps all, or where its disk is full, what is written to 3. -P: not from the
# working folder, whose code may be newer.
RUN = (
    "python -P -m pipeline.{params.stage} --callers $$ $PPID --spec {params.spec:q} --inputs {input:q} --outputs {output:q}"
    " 3>&2 > {log:q} 2>&1 || {{ echo; tail -n 12 {log:q}; echo; exit 1; }} >&2"
)
# Of a study's stage, settings and inputs are found in the plan: of more than fifty runs, they are longer than the
# kernel lets a command be. The first input says where they lie.
RUN_OF_STUDY = RUN.replace("--spec {params.spec:q} --inputs {input:q}", f'--plan "${PLAN_VARIABLE}" {{input.first:q}}')
PROJECT_FILES = graph.writes_of("project")
# Where there are several kinds, SVG is for the report and for papers, PNG for all else.
KINDS = ("svg", "png")


def figures(folder, names):
    return [f"{PLAN.folder}/figures/{folder}{name}.{kind}" for name in names for kind in KINDS]


def recorded(folder):
    """Of the figures of a folder, what says whether they are as they were drawn."""
    return str(beside(Path(f"{PLAN.folder}/figures/{folder}any.png")))


def reported(folder, names, **where):
    """The same, and the SVG files in the report that `snakemake --report` makes."""
    files = figures(folder, names)
    return [
        file if file.endswith("png") else report(file, labels={"figure": Path(file).stem}, **where) for file in files
    ]


def memory(declared):
    """More at every attempt: a profile with `retries` gets over a model that is larger than most."""
    return lambda wildcards, attempt: attempt * declared.mem_mb


# Of a stage of a run: its job is known by a wildcard.
def reads_of(stage):
    return lambda wildcards: PLAN.reads(PLAN.jobs[stage, wildcards.id])


def spec_of(stage):
    return lambda wildcards: PLAN.jobs[stage, wildcards.id].spec


def threads_of(stage):
    return lambda wildcards: PLAN.jobs[stage, wildcards.id].threads


def gpus_of(stage):
    """One where the settings name it: `auto` takes what the machine has, and waits for none."""
    return lambda wildcards: int(json.loads(PLAN.jobs[stage, wildcards.id].spec)["settings"].get("device") == "cuda")


def parts_of_project(wildcards):
    """What the jobs that share a model's layers have made; nothing where there is only one."""
    parts = json.loads(PLAN.jobs["project", wildcards.id].spec)["settings"]["parts"]
    folder = f"results/store/project/{wildcards.id}"
    return expand(f"{folder}/part_{{part}}/{{file}}", part=range(parts if parts > 1 else 0), file=PROJECT_FILES)


def drawn(folder, name):
    return [f"{folder}{name}.{kind}" for kind in KINDS]


def times_of_jobs(wildcards):
    """What Snakemake noted of every job's time, where it has."""
    of_runs = [path for stage, id in PLAN.jobs for path in sorted(Path(f"results/store/{stage}/{id}").glob("*.tsv"))]
    return [*of_runs, *sorted(Path(f"{PLAN.folder}/logs").glob("*.tsv"))]
