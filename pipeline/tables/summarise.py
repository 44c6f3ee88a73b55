"""Tables of the summarise stage: which files a study was made from."""

from pipeline.plumbing.schema import Column, Table

RUNS = Table(
    name="runs",
    row="one stage of one run",
    key=("experiment", "seed", "stage"),
    columns=(
        Column("experiment", "string", "name", "the experiment"),
        Column("seed", "int64", "none", "the seed", 0),
        Column("stage", "string", "name", "the stage"),
        Column("id", "string", "hex", "folder of the stage's files: results/store/<stage>/<id>"),
        Column("settings", "string", "JSON", "the stage's slice of the configuration"),
    ),
)
