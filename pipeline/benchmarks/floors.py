"""What each stage cannot do without: the forward passes of its networks, and the bare products of its circuits.

A stage's function in FLOORS says from its settings and from what it wrote how many tokens must go through what. Its
floor is the time of these matrix products alone, at the speed that one of each shape reaches on this machine: no norm,
no softmax, no score. It is what any way to the same tables takes that does not share its passes with another stage.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any, NamedTuple

import pandas as pd
import torch

from pipeline.circuits.vocabulary.balance import fast_precision

Settings = Mapping[str, Any]  # a job's, as conf/ has them
Tables = Callable[[str], pd.DataFrame]  # by name, of the run that a job is of
OPERATIONS = 2e9  # of one timing: some hundredths of a second
AT_ONCE = 512  # tokens, or vectors, in a product that is timed


@dataclass(frozen=True)
class Shape:
    """A transformer's."""

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_ff: int  # 0 without feed-forward parts
    gated: bool  # whether neurons have gates
    d_vocab: int

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Shape":
        """Count the rows of WEIGHTS, by name, layer and head."""
        count = rows.groupby("name").size()
        layers, heads = (rows.loc[rows["name"] == "W_Q", axis].nunique() for axis in ("layer", "head"))
        per_head = count / (layers * heads)
        neurons = int(count.get("ff_keys", 0)) // layers
        width, narrow = int(per_head["W_Q"]), int(per_head["W_O"])
        return cls(layers, heads, width, narrow, neurons, "ff_gates" in count, int(count["W_E"]))


class Passes(NamedTuple):
    """Forward passes, or parts of some."""

    length: int  # tokens of a sequence
    attention: float  # tokens through the heads of a layer, summed over layers
    feed_forward: float  # likewise through feed-forward parts
    logits: float  # tokens whose next one is predicted
    precision: torch.dtype = torch.float32


class Product(NamedTuple):
    """A product [rows, inner] @ [inner, columns], of which so many operations are needed."""

    rows: int
    inner: int
    columns: int
    precision: torch.dtype
    operations: float  # multiplications and additions


class Floor(NamedTuple):
    """What a job cannot do without."""

    passes: float  # sequences through all layers; through some, as much of one
    products: tuple[Product, ...]


def whole(shape: Shape, sequences: int, length: int, logits: int, precision: torch.dtype = torch.float32) -> Passes:
    """Whole forward passes; `logits` are of so many tokens of each sequence."""
    tokens = sequences * length * shape.n_layers
    return Passes(length, tokens, tokens, sequences * logits, precision)


def after(shape: Shape, sequences: int, length: int, layer: int, places: int) -> Passes:
    """What comes after the heads of a layer, as far as some places of the last layer's output need it."""
    later = shape.n_layers - 1 - layer
    # Of the last layer's heads, keys and values are needed everywhere, half of the products.
    attention = length * later - (length - places) / 2 * (later > 0)
    return Passes(length, sequences * attention, sequences * (length * later + places), sequences * places)


def floor_of(stage: str, settings: Settings, shape: Shape, tables: Tables) -> Floor:
    """Return the floor of one job of a stage in FLOORS."""
    needed = list(FLOORS[stage](settings, shape, tables))
    runs = [part for part in needed if isinstance(part, Passes)]
    products = [part for part in needed if isinstance(part, Product)]
    passes = sum(part.attention / (part.length * shape.n_layers) for part in runs)
    return Floor(passes, (*products, *(product for part in runs for product in products_of(shape, part))))


def products_of(shape: Shape, passes: Passes) -> Iterator[Product]:
    """Yield the matrix products of forward passes."""
    width, heads, precision = shape.d_model, shape.n_heads * shape.d_head, passes.precision
    through = (
        (width, 3 * heads, passes.attention),
        (heads, width, passes.attention),
        (width, (1 + shape.gated) * shape.d_ff, passes.feed_forward),
        (shape.d_ff, width, passes.feed_forward),
        (width, shape.d_vocab, passes.logits),
    )
    for inner, columns, tokens in through:
        yield Product(AT_ONCE, inner, columns, precision, 2 * tokens * inner * columns)
    for inner, columns in ((shape.d_head, passes.length), (passes.length, shape.d_head)):
        yield Product(passes.length, inner, columns, precision, 2 * passes.attention * heads * passes.length)


def seconds_of(products: Iterable[Product], repeats: int) -> float:
    """Return the CPU seconds that products take on one core, each kind timed once, the best of some repeats."""
    operations: dict[Product, float] = {}
    for product in products:
        if product.operations:
            kind = product._replace(operations=0.0)
            operations[kind] = operations.get(kind, 0.0) + product.operations
    return sum(count * _seconds_an_operation(kind, repeats) for kind, count in operations.items())


def _seconds_an_operation(product: Product, repeats: int) -> float:
    rows, inner, columns, precision, _ = product
    left, right = torch.ones(rows, inner).to(precision), torch.ones(inner, columns).to(precision)
    out = left @ right
    own = 2 * rows * inner * columns
    times = math.ceil(OPERATIONS / own)
    taken = []
    for _ in range(repeats):
        start = process_time()
        for _ in range(times):
            torch.mm(left, right, out=out)
        taken.append(process_time() - start)
    return min(taken) / (times * own)


def sets_in(*tables: pd.DataFrame) -> dict[tuple[str, int | None], tuple[int, int]]:
    """Return sequences and their length by eval_set and period; what is in several tables counts once."""
    groups = pd.concat(tables).groupby(["eval_set", "period"], dropna=False)
    sizes = groups.agg(sequences=("sentence", "nunique"), last=("position", "max"))
    return {
        (name, None if pd.isna(period) else int(period)): (int(sequences), int(last) + 1)
        for name, period, sequences, last in sizes.reset_index().itertuples(index=False)
        if name != "demo"
    }


def shortest(tables: Tables, eval_set: str) -> tuple[int, int]:
    """Return sequences and length of a set; of several periods, of the shortest."""
    found = {period or 0: size for (name, period), size in sets_in(tables("sequences")).items() if name == eval_set}
    return found[min(found)]


def train(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """Forward, and twice as much backward, of every step; none of a model made elsewhere."""
    steps = tables("training_curve")["step"].max()
    if pd.notna(steps) and steps > 0:
        length = settings["model"]["n_ctx"] - 1
        precision = fast_precision(torch.device("cpu")) if settings["precision"] == "auto" else torch.float32
        yield whole(shape, 3 * int(steps) * settings["batch"], length, length, precision)


def verify(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """The model's own pass and the one from its weights, in float64."""
    sequences, length = shortest(tables, "text")
    yield whole(shape, 2 * min(settings["sentences"], sequences), length, length, torch.float64)


def decompose(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes | Product]:
    """A pass over the text, in float64; each source's queries and keys, each term's scores; passes for patterns."""
    terms = tables("attention_terms")
    if terms.empty:
        return
    sequences, length = shortest(tables, "text")
    yield whole(shape, sequences, length, 0, torch.float64)
    width, heads = shape.d_model, shape.n_heads * shape.d_head
    for _, of_layer in terms.groupby("layer"):
        sources = set(of_layer["query_source"]) - {"stream", "total"}
        pairs = len(of_layer[["query_source", "key_source"]].drop_duplicates())
        mapped = 2 * sequences * length * width * 2 * heads * len(sources)
        yield Product(AT_ONCE, width, heads, torch.float64, mapped)
        yield Product(length, shape.d_head, length, torch.float64, 2 * pairs * sequences * length**2 * heads)
    for count, length in sets_in(tables("sequences")).values():
        yield whole(shape, min(settings["pattern_sentences"], count), length, 0)


def overlap(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes | Product]:
    """Every vector of every matrix, and the stream after each layer, on every token."""
    vectors = shape.n_layers * (4 * shape.n_heads * shape.d_head + 2 * shape.d_ff)
    operations = 2.0 * vectors * shape.d_model * shape.d_vocab
    yield Product(AT_ONCE, shape.d_model, shape.d_vocab, torch.float32, operations)
    if shape.d_ff:
        sequences, length = shortest(tables, "text")
        yield whole(shape, min(settings["sentences"], sequences), length, shape.n_layers * length)


def project(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Product]:
    """The entries of its circuits that the search for the strongest pairs had to score."""
    pairs = tables("vocab_pairs")
    which = ["layer", "head", "circuit", "emb_mode", "distance"]
    entries = float(pairs.drop_duplicates(which)["entries_scored"].sum())
    precision = fast_precision(torch.device("cpu"))
    side = math.isqrt(int(settings["tile_mb"] * 2**20) // precision.itemsize)
    yield Product(2 * side, shape.d_head, max(side // 2, 1), precision, 2 * entries * shape.d_head)


def score(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """Every set once, with the losses of all its tokens; and before training, where that was kept."""
    if tables("sentence_losses").empty:
        return
    sequences = tables("sequences")
    for count, length in sets_in(sequences, tables("loss_sequences")).values():
        yield whole(shape, count, length, length - 1)
    if (tables("nulls")["null_kind"] == "step_0").any():
        for count, length in sets_in(sequences).values():
            yield whole(shape, min(settings["null_sentences"], count), length, 0)


def score_checkpoints(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """The first sequences of some sets, at every checkpoint."""
    steps = tables("checkpoint_losses")["step"].nunique()
    for (name, _), (count, length) in sets_in(tables("sequences")).items():
        if steps and name in settings["eval_sets"]:
            yield whole(shape, steps * min(settings["sentences"], count), length, length - 1)


def challenge(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """Every challenge at every level once."""
    begin = int((tables("vocabulary")["role"] == "begin").any())
    room = settings["n_ctx"] - begin
    of_each = tables("challenge_scores").drop_duplicates(["challenge", "level"])
    for challenge, level, sequences in of_each[["challenge", "level", "n"]].itertuples(index=False):
        length = {
            "length": level,
            "no_begin": room,
            "ambiguous": begin + room - room % (6 if level == 1 else 9),  # cut to whole groups
        }.get(challenge, settings["n_ctx"])
        yield whole(shape, int(sequences), int(length), int(length) - 1)


def cover(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """A pass over the text; and what comes after each head at its mean, and by what each role keeps and as much not."""
    known = tables("role_coverage").query("n > 0")
    if known.empty:
        return
    sequences, length = shortest(tables, "text")
    sequences, places = min(settings["sentences"], sequences // 2), min(settings["positions"], length - 1)
    yield whole(shape, sequences, length, places)
    for layer, roles in Counter(map(int, known["layer"])).items():
        heads = known.loc[known["layer"] == layer, "head"].nunique()
        yield after(shape, sequences * (heads + roles * (1 + settings["draws"])), length, layer, places)


def ablate(settings: Settings, shape: Shape, tables: Tables) -> Iterator[Passes]:
    """A pass over each set; what comes after each head, set and reader of an edge that is changed; logits by depth."""
    single, sets, edges = tables("ablations"), tables("set_ablations"), tables("edges")
    for name in single["eval_set"].unique():
        sequences, length = shortest(tables, name)
        places = length - 1 if settings["positions"] is None else min(settings["positions"], length - 1)
        several, edged, few = (min(settings[f"{what}sentences"], sequences) for what in ("", "edge_", "path_"))
        judged = min(settings["set_sentences"], sequences // 2)
        yield whole(shape, several, length, places)
        # With the patterns as they were no query meets a key, and of the last layer's none could change.
        changed = single[(single["eval_set"] == name) & (single["method"] != "pattern_preserving")]
        for layer, count in Counter(map(int, changed.drop_duplicates(["layer", "head", "method"])["layer"])).items():
            yield after(shape, count * several, length, layer, places)
        chosen = sets[sets["eval_set"] == name]
        drawn = (chosen["kind"] == "random_direction").rename("drawn")
        members = chosen["heads"].str.split().map(frozenset)
        for heads in {(of_one, kind) for of_one, kind in zip(members, drawn, strict=True)}:
            first = min(int(head.split(".")[0]) for head in heads[0])
            yield after(shape, judged, length, first, places)
        cut = edges[edges["eval_set"] == name].drop_duplicates(
            ["src_layer", "src_head", "dst_layer", "dst_head", "kind"]
        )
        for layer, count in Counter(map(int, cut["dst_layer"])).items():
            yield after(shape, count * edged, length, layer, places)
        depths = tables("logit_lens").query("eval_set == @name")["depth"].nunique()
        orders = tables("sentence_orders").query("eval_set == @name")["order"].nunique()
        yield Passes(length, 0, 0, (depths * few + orders * several) * (length - 1))


FLOORS: dict[str, Callable[[Settings, Shape, Tables], Iterable[Passes | Product]]] = {
    stage.__name__: stage
    for stage in (train, verify, decompose, project, score, ablate, cover, score_checkpoints, challenge, overlap)
}
