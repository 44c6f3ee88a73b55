"""Table of the benchmark: how long the exact lists take, and how much memory."""

from pipeline.plumbing.schema import Column, Table

SECONDS = "seconds, wall clock"

BENCHMARK = Table(
    name="benchmark",
    row="one comparison of the exact search for a circuit's strongest pairs with another way",
    key=("what", "V", "r", "k"),
    columns=(
        Column(
            "what",
            "string",
            "name",
            "decaying, power_law, isotropic: one circuit of that kind, against the bare float32 product of its factors "
            "in tiles, without any selection; notebook_recipe: from a head's weights, decaying, against the dense "
            "V x d x d x V product, threshold, nonzero, sort; units_feed_forward, units_dimensions: neurons in float32 "
            "and the dimensions of a head's four matrices in float64, each vector's strongest tokens at both ends, "
            "against forming the products alone; atlas_decaying, atlas_random: both circuits of all heads of a made-up "
            "model, from its weights in memory, each layer as a job of its own",
            options=(
                *("decaying", "power_law", "isotropic", "notebook_recipe"),
                *("units_feed_forward", "units_dimensions", "atlas_decaying", "atlas_random"),
            ),
        ),
        Column("V", "int64", "tokens", "rows and columns of a circuit", 1),
        Column("r", "int64", "dimensions", "rank of a circuit; of units, vectors read of each kind", 1),
        Column("k", "int64", "pairs or tokens", "listed at each of both ends", 1),
        Column("seconds", "float64", SECONDS, "median of the exact search; of the atlas, the sum over its layers", 0),
        Column("lo", "float64", SECONDS, "fastest repeat of it", 0),
        Column("hi", "float64", SECONDS, "slowest repeat of it", 0),
        Column("baseline_seconds", "float64", SECONDS, "median of what it is compared with", 0, nullable=True),
        Column("baseline_lo", "float64", SECONDS, "fastest repeat of that", 0, nullable=True),
        Column("baseline_hi", "float64", SECONDS, "slowest repeat of that", 0, nullable=True),
        Column("ratio", "float64", "none", "seconds / baseline_seconds", 0, nullable=True),
        Column(
            "peak_bytes", "int64", "bytes", "most memory the search had beyond its inputs, in a process of its own", 0
        ),
        Column("baseline_peak_bytes", "int64", "bytes", "the same of the other way", 0, nullable=True),
        Column("circuits", "int64", "count", "circuits searched; 1 for units", 1),
        Column("entries_scored", "float64", "count", "entries computed to find the lists, a circuit or all units", 0),
        Column("repeats", "int64", "count", "timings, alternating between both ways", 1),
        Column("threads", "int64", "count", "threads of the one process", 1),
        Column("precision", "string", "name", "in which tiles were scored", options=("bfloat16", "float32")),
        Column("versions", "string", "text", "packages that do the work"),
        Column("processor", "string", "text", "as the operating system names it"),
    ),
)
