"""Table of the manifest stage: what a reproduction is held against."""

from pipeline.plumbing.schema import Column, Table

MANIFEST = Table(
    name="manifest",
    row="one file of the study, or of a stage of one of its runs",
    key=("experiment", "seed", "stage", "file"),
    columns=(
        Column(
            "experiment", "string", "name", "the run's experiment; null for a file of the whole study", nullable=True
        ),
        Column("seed", "int64", "none", "the run's seed; null as experiment", 0, nullable=True),
        Column("stage", "string", "name", "the stage that made it"),
        Column("file", "string", "name", "its name"),
        Column("job", "string", "hex", "its folder: results/store/<stage>/<job>; null as experiment", nullable=True),
        Column(
            "digest",
            "string",
            "hex, SHA-256",
            "of a table: of its columns' values in the key's order, seconds left out; of another file: of its bytes",
        ),
        Column(
            "versions",
            "string",
            "JSON",
            "releases of the packages that its stage uses; tables alone say",
            nullable=True,
        ),
    ),
)
