"""Tables of what each stage costs by the size of its model."""

from pipeline.plumbing.schema import Column, Table

STAGE = Column("stage", "string", "name", "the stage")
SIZES = (
    Column("V", "int64", "tokens", "the model's vocabulary", 1),
    Column("layers", "int64", "count", "its layers", 1),
    Column("heads", "int64", "count", "heads in each", 1),
    Column("d_model", "int64", "dimensions", "width of its residual stream", 1),
    Column("context", "int64", "tokens", "in a sequence that it is measured on", 1),
    Column("runs", "int64", "count", "models in the study; a stage of a run was measured on one of them", 1),
)
COST = Column(
    "cost",
    "string",
    "name",
    "cpu_seconds, peak_bytes or stored_bytes, as the table scaling has them",
    options=("cpu_seconds", "peak_bytes", "stored_bytes"),
)
SCALING = Table(
    name="scaling",
    row="one stage of a study of random GPT-2s, with the settings of a checkpoint's study",
    key=("stage", *(size.name for size in SIZES)),
    columns=(
        STAGE,
        *SIZES,
        Column("held_out", "bool", "none", "whether it was foretold first, and no law is fitted to it"),
        Column("cpu_seconds", "float64", "seconds, one core", "of the stage without its start", 0),
        Column("peak_bytes", "int64", "bytes", "most memory of its own beyond its imports, files it maps apart", 0),
        Column("stored_bytes", "int64", "bytes", "of the files that it wrote", 0),
    ),
)
SCALING_FITS = Table(
    name="scaling_fits",
    row="one size in a power law of what a stage costs, fitted to logarithms by least squares",
    key=("stage", "cost", "axis"),
    columns=(
        STAGE,
        COST,
        Column("axis", "string", "name", "which size", options=tuple(size.name for size in SIZES)),
        Column("exponent", "float64", "none", "the cost grows as the size to this power"),
        Column("lo", "float64", "none", "lower end of Student's interval"),
        Column("hi", "float64", "none", "upper end of it"),
        Column("measurements", "int64", "count", "that the law was fitted to", 1),
        Column("confidence", "float64", "probability", "of the intervals in this table", 0, 1),
    ),
)
SCALING_FORETOLD = Table(
    name="scaling_foretold",
    row="what a stage would cost on another model by its laws: extrapolated, unless measured says otherwise",
    key=("model", "stage", "cost"),
    columns=(
        Column("model", "string", "name", "of the settings scaling.models; or held_out, which was then measured"),
        *SIZES,
        STAGE,
        COST,
        Column("value", "float64", "seconds or bytes", "by the law", 0),
        Column("lo", "float64", "seconds or bytes", "lower end of a prediction interval, if the law holds so far", 0),
        Column("hi", "float64", "seconds or bytes", "upper end of it", 0),
        Column("measured", "float64", "seconds or bytes", "what it was; null if not measured", 0, nullable=True),
        Column(
            "floor",
            "float64",
            "seconds or bytes",
            "the least by arithmetic, whatever the law: of ablate, a forward pass through half of the layers for each "
            "head, sequence and method, at the speed of a bare float32 product here; of stages that hold the model, "
            "its parameters in memory in float32; of train and extract, the same stored. Null where there is none",
            0,
            nullable=True,
        ),
    ),
)
