# The stages of a run: one job a slice of settings, however many runs share it.

for stage, declared in graph.OF_A_RUN.items():

    rule:
        name:
            stage
        input:
            reads_of(stage),
            parts_of_project if stage == "project" else [],
        output:
            PLAN.writes(stage),
        log:
            f"results/store/{stage}/{{id}}/{stage}.log",
        benchmark:
            f"results/store/{stage}/{{id}}/benchmark.tsv"
        conda:
            "../../environment.yml"
        threads: threads_of(stage)
        resources:
            mem_mb=memory(declared),
            runtime=declared.runtime,
            gpu=gpus_of(stage),
        params:
            stage=stage,
            spec=spec_of(stage),
        message:
            f"{stage}, job {{wildcards.id}}"
        shell:
            RUN


# One of several jobs that share a model's layers, if so many are asked for.
use rule project as project_part with:
    input:
        reads_of("project"),
    output:
        temp(expand("results/store/project/{{id}}/part_{{part}}/{file}", file=PROJECT_FILES)),
    log:
        "results/store/project/{id}/part_{part}.log",
    benchmark:
        "results/store/project/{id}/part_{part}.tsv"
    params:
        stage="project",
        spec=lambda wildcards: spec_with(PLAN.jobs["project", wildcards.id].spec, part=int(wildcards.part)),
    message:
        "project, job {wildcards.id}, part {wildcards.part} of its layers"
