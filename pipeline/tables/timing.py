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
    ),
)
