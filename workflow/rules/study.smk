# The stages of the study: each reads what all runs have made.

for stage in ("align", "summarise", "judge", "manifest", "atlas"):

    rule:
        name:
            stage
        input:
            PLAN.reads(PLAN.study_jobs[stage])[1:],
            first=PLAN.reads(PLAN.study_jobs[stage])[0],
        output:
            PLAN.writes(stage),
        log:
            f"{PLAN.folder}/logs/{stage}.log",
        benchmark:
            f"{PLAN.folder}/logs/{stage}.tsv"
        conda:
            "../../environment.yml"
        threads: PLAN.study_jobs[stage].threads
        resources:
            mem_mb=memory(graph.STAGES[stage]),
            runtime=graph.STAGES[stage].runtime,
        params:
            stage=stage,
            spec=PLAN.study_jobs[stage].spec,
        message:
            f"{stage} {PLAN.study}"
        shell:
            RUN_OF_STUDY


# The figures of one experiment.
rule render:
    input:
        PLAN.reads(PLAN.study_jobs["render"]),
    output:
        reported("{experiment}/", OF_AN_EXPERIMENT, category="{experiment}", caption="../report/figure.rst"),
        recorded("{experiment}/"),
    log:
        f"{PLAN.folder}/logs/render_{{experiment}}.log",
    benchmark:
        f"{PLAN.folder}/logs/render_{{experiment}}.tsv"
    conda:
        "../../environment.yml"
    threads: PLAN.study_jobs["render"].threads
    resources:
        mem_mb=memory(graph.STAGES["render"]),
        runtime=graph.STAGES["render"].runtime,
    params:
        stage="render",
        spec=PLAN.study_jobs["render"].spec,
    message:
        f"render {PLAN.study}, {{wildcards.experiment}}"
    shell:
        RUN


OTHER_FIGURES = [name for name in OF_A_STUDY if name != "claims"]


# The figures over all experiments.
use rule render as render_study with:
    output:
        reported("", ["claims"], category="Claims", caption="../report/claims.rst"),
        reported("", OTHER_FIGURES, category="All experiments", caption="../report/study_figure.rst"),
        recorded(""),
    log:
        f"{PLAN.folder}/logs/render_study.log",
    benchmark:
        f"{PLAN.folder}/logs/render_study.tsv"
    message:
        f"render {PLAN.study}"


RESULTS = [
    *(file for stage in ("summarise", "judge", "align", "manifest", "atlas") for file in PLAN.writes(stage)),
    *(figures(f"{experiment}/", OF_AN_EXPERIMENT) for experiment in PLAN.experiments),
    *figures("", OF_A_STUDY),
    *(recorded(f"{folder}/") for folder in PLAN.experiments),
    recorded(""),
]
