"""Table of where the time of a study goes."""

from pipeline.plumbing.schema import Column, Table

STAGES = Table(
    name="stages",
    row="one stage of a study, over all its jobs",
    key=("stage",),
    columns=(
        Column("stage", "string", "name", "the stage"),
        Column("jobs", "int64", "count", "jobs of this study that ran and left their times", 1),
        Column("seconds", "float64", "seconds, wall clock", "sum over jobs; jobs at one time count each", 0),
        Column("longest", "float64", "seconds, wall clock", "the slowest job", 0),
        Column(
            "cpu_seconds",
            "float64",
            "seconds, all cores",
            "sum over jobs, as sampled while they ran; null if all were too short for a sample",
            0,
            nullable=True,
        ),
        Column(
            "peak_bytes",
            "int64",
            "bytes",
            "most resident memory of any job, sampled; null as cpu_seconds",
            0,
            nullable=True,
        ),
        Column("share", "float64", "share", "of the seconds of all stages", 0, 1),
        Column(
            "passes",
            "float64",
            "sequences",
            "forward passes through all layers that the stage cannot do without, through some as much of one; null "
            "here and in the columns on where it runs no network and reads no circuit",
            0,
            nullable=True,
        ),
        Column(
            "floor_seconds",
            "float64",
            "seconds, one core",
            "what the matrix products alone take that it cannot do without: of these passes (after an ablation what "
            "comes behind it, logits only of tokens whose loss is asked for), and of project, decompose and overlap "
            "those of circuits, terms and vectors",
            0,
            nullable=True,
        ),
        Column(
            "floor_speed",
            "float64",
            "operations / second",
            "of these products, each of which was timed alone when the table was made, one thread, 512 tokens at once",
            0,
            nullable=True,
        ),
        Column("floor_share", "float64", "none", "floor_seconds / cpu_seconds", 0, nullable=True),
    ),
)
