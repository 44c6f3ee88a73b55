# What runs on request: `snakemake --config study=known_answers`, `snakemake benchmark`, `snakemake timing`, `search`.

# What an ordinary study measures stands apart from what a small one does.
BENCHMARKS = "results/benchmarks/" + ("" if PLAN.study == "paper" else f"{PLAN.study}/")
KNOWN_ANSWERS = [*PLAN.writes("known_answers"), *figures("", OF_KNOWN_ANSWERS), recorded("")]
WANTED = KNOWN_ANSWERS if PLAN.study == "known_answers" else RESULTS


# One job runs every stage of every model: they are small, and starting takes longer than measuring.
rule known_answers:
    output:
        PLAN.writes("known_answers"),
        reported("", OF_KNOWN_ANSWERS, category="Known answers", caption="../report/study_figure.rst"),
        recorded(""),
    log:
        f"{PLAN.folder}/logs/known_answers.log",
    benchmark:
        f"{PLAN.folder}/logs/known_answers.tsv"
    conda:
        "../../environment.yml"
    threads: PLAN.study_jobs["known_answers"].threads
    resources:
        mem_mb=memory(graph.STAGES["known_answers"]),
        runtime=graph.STAGES["known_answers"].runtime,
    params:
        stage="known_answers",
        spec=PLAN.study_jobs["known_answers"].spec,
    message:
        "measure models whose scores are known"
    shell:
        RUN


# Either draws figures of the whole study, whose record is one file.
if PLAN.study == "known_answers":

    ruleorder: known_answers > render_study

else:

    ruleorder: render_study > known_answers


# Where the time of this study went.
rule timing:
    input:
        WANTED,
    output:
        f"{BENCHMARKS}stages.parquet",
        drawn(BENCHMARKS, "stages"),
    log:
        f"{BENCHMARKS}stages.log",
    conda:
        "../../environment.yml"
    threads: PLAN.study_jobs["timing"].threads
    params:
        stage="timing",
        spec=PLAN.study_jobs["timing"].spec,
        times=times_of_jobs,
    message:
        f"say where the time of {PLAN.study} went"
    shell:
        RUN.replace("{input:q}", "{params.times:q}")


# The exact search for the strongest pairs, against plainer ways; it reads nothing of the study.
use rule known_answers as search with:
    output:
        f"{BENCHMARKS}benchmark.parquet",
        drawn(BENCHMARKS, "benchmark"),
    log:
        f"{BENCHMARKS}benchmark.log",
    benchmark:
        f"{BENCHMARKS}benchmark.tsv"
    threads: PLAN.study_jobs["benchmark"].threads
    params:
        stage="benchmark",
        spec=PLAN.study_jobs["benchmark"].spec,
    message:
        "measure the exact search for the strongest pairs"


# What each stage costs by the size of its model; it makes a study of its own for each.
use rule known_answers as scaling with:
    output:
        [f"{BENCHMARKS}{name}" for name in graph.writes_of("scaling")],
    log:
        f"{BENCHMARKS}scaling.log",
    benchmark:
        f"{BENCHMARKS}scaling.tsv"
    threads: PLAN.study_jobs["scaling"].threads
    resources:
        mem_mb=memory(graph.STAGES["scaling"]),
        runtime=graph.STAGES["scaling"].runtime,
    params:
        stage="scaling",
        spec=PLAN.study_jobs["scaling"].spec,
    message:
        "measure how the cost of every stage grows"


# Not part of `all`: its results are times, and hold for one machine.
rule benchmark:
    input:
        rules.timing.output,
        rules.search.output,
