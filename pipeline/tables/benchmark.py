"""Table of the benchmark: how long the exact lists take, and how much memory."""

from pipeline.plumbing.schema import Column, Table

SECONDS = "seconds, wall clock"

BENCHMARK = Table(
    name="benchmark",
    row="one comparison with another way: of the exact search for a circuit's strongest pairs, mostly",
    key=("what", "V", "r", "k", "precision", "baseline"),
    columns=(
        Column(
            "what",
            "string",
            "name",
            "decaying, power_law, isotropic: one circuit of that kind, from its factors; notebook_recipe: from a "
            "head's weights, decaying; units_feed_forward, units_dimensions: neurons in float32 and the dimensions of "
            "a head's four matrices in float64, each vector's strongest tokens at both ends; atlas_decaying, "
            "atlas_random: both circuits of all heads of a made-up model, from its weights in memory, each layer as a "
            "job of its own; training: steps of a two-layer network",
            options=(
                *("decaying", "power_law", "isotropic", "notebook_recipe"),
                *("units_feed_forward", "units_dimensions", "atlas_decaying", "atlas_random", "training"),
            ),
        ),
        Column(
            "baseline",
            "string",
            "name",
            "what it is compared with. bare_product: of a circuit's factors, float32, in tiles, nothing selected; "
            "two_passes: such products, every row's extremes, then the rows that hold the lists; compiled: the same "
            "under torch.compile; faiss: the same extremes by faiss.knn; dense: the V x d x d x V product, threshold, "
            "nonzero, sort; products: of units with the vocabulary, alone; bfloat16_products, float32_products: those "
            "that a step of training cannot do without, alone; transformers: the usual loop over a GPT-2 of the same "
            "width and depth in float32, its feed-forward parts too",
            options=(
                *("bare_product", "two_passes", "compiled", "faiss", "dense", "products"),
                *("bfloat16_products", "float32_products", "transformers"),
            ),
            nullable=True,
        ),
        Column("V", "int64", "tokens", "rows and columns of a circuit; of training, the vocabulary", 1),
        Column("r", "int64", "dimensions", "rank of a circuit; of units, vectors of each kind; of training, width", 1),
        Column("k", "int64", "pairs or tokens", "listed at each of both ends; of training, sequences in a step", 1),
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
        Column("entries_scored", "float64", "count", "entries computed to find the lists; of training, tokens", 0),
        Column("repeats", "int64", "count", "timings, alternating between both ways", 1),
        Column("threads", "int64", "count", "threads of the one process", 1),
        Column(
            "precision",
            "string",
            "name",
            "in which ours computes; integers may come besides, but where float32 is forced: beside a faster one",
            options=("bfloat16", "float32", "float64"),
        ),
        Column("versions", "string", "text", "packages that do the work"),
        Column("processor", "string", "text", "as the operating system names it"),
    ),
)
