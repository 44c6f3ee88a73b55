"""Take heads, sets of heads, edges between heads and paths away, and see what the loss does."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

import pandas as pd
import torch
from einops import rearrange
from torch import Generator, Tensor
from tqdm import tqdm

from pipeline.circuits.causes import path_effects
from pipeline.circuits.causes.ablation import Ablation, every_ablation
from pipeline.circuits.causes.class_means import class_means, class_sums, resampled_means
from pipeline.circuits.causes.edges import INPUTS, every_edge
from pipeline.circuits.causes.head_sets import area_under, matched_sets, output_products
from pipeline.circuits.causes.paths import DIRECT, order_losses, path_names
from pipeline.circuits.resampling import interval, resampled_counts
from pipeline.circuits.scores import induction
from pipeline.circuits.scores.held import Held, adds_up, what_is_read
from pipeline.circuits.scores.logit_lens import logit_lens
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Head, Heads, Weights
from pipeline.claims.best_heads import JUDGING, Rankings, rankings, spread_heads
from pipeline.frames.tensors import labels_of, sequences_of, to_frame
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.ablate import AblateSettings
from pipeline.tables.ablate import (
    ABLATIONS,
    CONTRIBUTIONS,
    EDGES,
    LOGIT_LENS,
    PATHS,
    SENTENCE_ORDERS,
    SENTENCE_SETS,
    SET_ABLATIONS,
    SET_CURVES,
    TERM_ORDERS,
)
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score import HEAD_PAIRS, HEAD_SCORES, SENTENCE_SCORES

BY_SENTENCE = ("ranked", "role", "layers")  # kinds of sets whose effects are kept by sentence
CLASSES = ("all", "novel", "first_copy", "second_copy")


@dataclass(frozen=True)
class Sample:
    """Some sentences of one set, and the classes of their tokens."""

    which: dict[str, Any]  # eval_set, period
    numbers: Tensor  # [batch], of the sentences within their set
    tokens: Tensor  # [batch, position]
    classes: Tensor  # [class, batch, position], of CLASSES
    resamples: int
    confidence: float
    seed: int

    def first(self, sentences: int) -> Self:
        """Return the same of the first few sentences."""
        few = {"numbers": self.numbers[:sentences], "tokens": self.tokens[:sentences]}
        return replace(self, **few, classes=self.classes[:, :sentences])

    def generator(self) -> Generator:
        """Return a generator in its first state."""
        return Generator().manual_seed(self.seed)

    def places(self, most: int | None) -> Tensor | None:
        """Return at most so many evenly spread positions of what is predicted; None for all."""
        predicted = self.tokens.shape[1] - 1
        return None if most is None or most >= predicted else 1 + torch.arange(most) * predicted // most

    def counts(self) -> Tensor:
        """Return how often each sentence comes in each resample; the same for every table."""
        return resampled_counts(len(self.tokens), self.resamples, self.generator())

    def rows(self, axes: str, means: Tensor, **more: Tensor) -> pd.DataFrame:
        """Return a row an element and class of tokens: `means` [*axes, batch, position] averaged, as value, lo, hi, n.

        More tensors [*axes, batch, position] are averaged into columns of their names.
        """
        counts = self.counts()
        averaged = class_means(means, self.classes, counts, self.confidence)
        columns = {
            name: class_means(values, self.classes, counts, self.confidence).value for name, values in more.items()
        }
        columns |= {"value": averaged.value, "lo": averaged.lo, "hi": averaged.hi}
        frame = to_frame(f"{axes} token_class", **columns)
        frame["n"] = averaged.n.numpy()[frame["token_class"]]
        frame["token_class"] = frame["token_class"].map(dict(enumerate(CLASSES)))
        return frame[frame["n"] > 0].assign(confidence=self.confidence, **self.which)


def run(settings: AblateSettings, inputs: Paths, outputs: Paths) -> None:
    """Ablate every head, and sets of them, cut every edge, split the logits into paths, on each set of sequences."""
    torch.set_num_threads(settings.threads)
    weights, sequences = weights_in(read_parts(WEIGHTS, inputs)), read(SEQUENCES, inputs)
    first = int((read(VOCABULARY, inputs)["role"] == "begin").any())
    ranked = rankings({table.name: read(table, inputs) for table in (HEAD_SCORES, SENTENCE_SCORES)})
    every_head = list(product(range(weights.n_layers), range(weights.n_heads)))
    heads = spread_heads(every_head, ranked, settings.heads, settings.best_heads)
    some = slice(settings.sentences)
    measured = list(samples(settings.eval_sets, settings, sequences, some)) if weights.attends == "back" else []
    if weights.attends != "back":
        print("the model attends both ways, and predicts no next token: nothing is ablated")
    splits = adds_up(weights)
    if measured and not splits:
        print("the model's norms stand on the stream itself: its logits are no sum over parts or paths; none is listed")
    write(ABLATIONS, together(ABLATIONS, (ablations(settings, weights, heads, sample) for sample in measured)), outputs)
    judging = slice(JUDGING, JUDGING + 2 * settings.set_sentences, 2)
    judges = samples(settings.set_eval_sets, settings, sequences, judging) if measured else []
    sets = [of_sets(settings, weights, ranked, sample) for sample in judges]
    for side, table in enumerate((SET_ABLATIONS, SET_CURVES, SENTENCE_SETS)):
        write(table, together(table, (tables[side] for tables in sets)), outputs)
    between = of_edges(settings, read(HEAD_PAIRS, inputs), heads)
    cut = (edges(settings, weights, between, sample, first) for sample in measured)
    write(EDGES, together(EDGES, cut), outputs)
    walked = samples(settings.path_eval_sets, settings, sequences, some) if measured and splits else []
    split = [by_path(settings, weights, sample) for sample in tqdm(list(walked), desc="paths")]
    for side, table in enumerate((PATHS, TERM_ORDERS, SENTENCE_ORDERS)):
        write(table, together(table, (tables[side] for tables in split)), outputs)
    attributed = (contributions(settings, weights, sample) for sample in measured if splits)
    write(CONTRIBUTIONS, together(CONTRIBUTIONS, attributed), outputs)
    write(LOGIT_LENS, together(LOGIT_LENS, (lens(settings, weights, sample) for sample in measured)), outputs)


def together(table: Table, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return frames as one; an empty table if there are none."""
    return pd.concat([pd.DataFrame(columns=table.names).astype(object), *frames])


def samples(
    eval_sets: Iterable[str], settings: AblateSettings, sequences: pd.DataFrame, chosen: slice
) -> Iterator[Sample]:
    """Yield the chosen sentences of each of these sets; the class `other` of sequences is `novel` here."""
    for eval_set in eval_sets:
        periods = sequences.loc[sequences["eval_set"] == eval_set, "period"]
        if periods.empty:
            print(f"{eval_set}: there are no such sequences, so nothing is ablated on them")
            continue
        which = {"eval_set": eval_set, "period": None if periods.isna().all() else int(periods.min())}
        tokens = sequences_of(sequences, **which)
        numbers, tokens = torch.arange(len(tokens))[chosen], tokens[chosen]
        names = labels_of(sequences, **which, column="token_class")[chosen]
        classes = [torch.ones_like(tokens, dtype=torch.bool)]
        classes += [torch.as_tensor(names == name) for name in ("other", *CLASSES[2:])]
        yield Sample(
            which, numbers, tokens, torch.stack(classes), settings.resamples, settings.confidence, settings.seed
        )


def ablated(
    settings: AblateSettings, weights: Weights, sample: Sample, every: list[Ablation], what: str
) -> tuple[Tensor, Tensor]:
    """Return the losses of each ablation, and those of the model as it is, at the sample's places."""
    shown = tqdm(every, desc=f"{what}, {sample.which['eval_set']}")
    places = sample.places(settings.positions)
    return every_ablation(weights, sample.tokens, shown, sample.generator(), settings.batch, places)


def ablations(settings: AblateSettings, weights: Weights, heads: list[Head], sample: Sample) -> pd.DataFrame:
    """Ablate each head by each method."""
    every = [((head,), method) for head, method in product(heads, settings.methods)]
    losses, whole = ablated(settings, weights, sample, every, "heads")
    losses = rearrange(losses, "(head method) batch position -> head method batch position", head=len(heads))
    frame = sample.rows("place method", losses - whole, loss=losses).rename(columns={"value": "difference"})
    frame["method"] = frame["method"].map(dict(enumerate(settings.methods)))
    frame[["layer", "head"]] = [heads[place] for place in frame.pop("place")]
    return frame


@dataclass(frozen=True)
class HeadSet:
    """Heads that are ablated together, and why these."""

    role: str
    kind: str
    heads: Heads
    draw: int | None = None

    @property
    def ablation(self) -> tuple[Heads, str]:
        """What is done to the heads."""
        return self.heads, "random_direction" if self.kind == "random_direction" else "zero"

    def names(self) -> dict[str, Any]:
        """Return what tables call it."""
        heads = " ".join(f"{layer}.{head}" for layer, head in self.heads)
        return {"role": self.role, "kind": self.kind, "size": len(self.heads), "draw": self.draw, "heads": heads}

    def layers(self, weights: Weights) -> "HeadSet":
        """Return the whole layers that it has heads in."""
        touched = sorted({layer for layer, _ in self.heads})
        return HeadSet(self.role, "layers", tuple(product(touched, range(weights.n_heads))))


def head_sets(settings: AblateSettings, weights: Weights, ranked: Rankings, sample: Sample) -> list[HeadSet]:
    """List the sets of each role, each once: growing ones, the role's own, and what is held beside them."""
    products = output_products(weights, sample.tokens, settings.batch)
    generator, sets = sample.generator(), []
    for role, scores in ranked.items():
        least = settings.role_copying if role == "copying" else settings.role_attention
        playing = sum(score >= least for score in scores.values())
        for size in sorted({*settings.set_sizes, playing}):
            heads = tuple(scores)[:size]
            if not 0 < size == len(heads):
                continue
            drawn = matched_sets(heads, products, settings.random_sets, settings.random_candidates, generator)
            kinds = ["ranked"] * (size in settings.set_sizes) + ["role"] * (size == playing) + ["random_direction"]
            sets += [HeadSet(role, kind, heads) for kind in kinds]
            sets += [HeadSet(role, "random", others, draw) for draw, others in enumerate(drawn)]
            sets.append(sets[-1].layers(weights))
    return list(dict.fromkeys(sets))


def of_sets(
    settings: AblateSettings, weights: Weights, ranked: Rankings, sample: Sample
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return SET_ABLATIONS, SET_CURVES and SENTENCE_SETS of one set of sequences."""
    sets = head_sets(settings, weights, ranked, sample)
    if not sets:
        return together(SET_ABLATIONS, []), together(SET_CURVES, []), together(SENTENCE_SETS, [])
    losses, whole = ablated(settings, weights, sample, [chosen.ablation for chosen in sets], "sets")
    names = pd.DataFrame([chosen.names() for chosen in sets]).astype({"draw": "Int64"})
    place = {chosen: place for place, chosen in enumerate(sets)}
    bounds = torch.tensor([place[chosen.layers(weights)] for chosen in sets])
    averaged = class_means(losses - whole, sample.classes, sample.counts(), sample.confidence)
    sums, tokens = class_sums(losses - whole, sample.classes)
    means = resampled_means(sums, tokens, sample.counts())
    unsure = ~(averaged.lo > 0)[bounds]
    shares = (means / means[bounds]).masked_fill(unsure[..., None], math.nan)

    frame = sample.rows("set", losses - whole).rename(columns={"value": "difference"})
    frame["share"] = shares[..., 0].numpy()[frame["set"], frame["token_class"].map(CLASSES.index)]
    curves = together(SET_CURVES, curve_rows(settings, sample, sets, shares, averaged.n))
    by_sentence = to_frame("set token_class place", value=sums / tokens, weight=tokens.expand_as(sums))
    kept = names["kind"].isin(BY_SENTENCE).to_numpy()[by_sentence["set"]]
    by_sentence = by_sentence[(by_sentence["weight"] > 0) & kept]
    by_sentence["token_class"] = by_sentence["token_class"].map(dict(enumerate(CLASSES)))
    by_sentence["sentence"] = sample.numbers.numpy()[by_sentence["place"]]
    frame, by_sentence = (rows.join(names, on="set") for rows in (frame, by_sentence.assign(**sample.which)))
    return frame[SET_ABLATIONS.names], curves, by_sentence[SENTENCE_SETS.names]


def curve_rows(
    settings: AblateSettings, sample: Sample, sets: list[HeadSet], shares: Tensor, n: Tensor
) -> Iterator[pd.DataFrame]:
    """Yield the areas under each role's curves, by class of tokens, where every share is known.

    Args:
        settings: of the stage.
        sample: the sentences.
        sets: of every role.
        shares: [set, class, mean], of the effect of the whole layers, in the sample and in each resample.
        n: [class], tokens.
    """
    for role in dict.fromkeys(chosen.role for chosen in sets):
        places: dict[str, dict[int, list[int]]] = {"ranked": {}, "random": {}}
        for place, chosen in enumerate(sets):
            if chosen.role == role and chosen.kind in places and len(chosen.heads) in settings.set_sizes:
                places[chosen.kind].setdefault(len(chosen.heads), []).append(place)
        kinds = [kind for kind in places if places[kind]]
        if not kinds:  # only a set of the role's own, of another size
            continue
        sizes = sorted(set.intersection(*(set(places[kind]) for kind in kinds)))
        areas = {}
        for kind in kinds:
            curve = torch.stack([shares[places[kind][size]].mean(0) for size in sizes])
            areas[kind] = area_under(sizes, rearrange(curve, "size kind mean -> kind mean size"))
        if "random" in areas:
            areas["lead"] = areas["ranked"] - areas["random"]
        for kind, area in areas.items():
            value, replicates = area[:, 0], rearrange(area[:, 1:], "kind resample -> resample kind")
            lo, hi = interval(value, replicates, sample.confidence)
            frame = to_frame("token_class", area=value, lo=lo, hi=hi, n=n).dropna(subset="area")
            frame["token_class"] = frame["token_class"].map(dict(enumerate(CLASSES)))
            names = {"role": role, "kind": kind, "sizes": " ".join(map(str, sizes))}
            yield frame.assign(**names, **sample.which, confidence=sample.confidence)


def of_edges(
    settings: AblateSettings, head_pairs: pd.DataFrame, heads: list[Head]
) -> list[tuple[list[Head], list[Head]]]:
    """List the heads between which edges are cut, pair of layers by pair: the sources, and the readers."""
    followed = head_pairs[head_pairs["metric"] == "K_circuit"]
    composed = head_pairs.query("metric == 'K_composition' and definition == 'frobenius'")
    pairs = settings.layer_pairs
    if pairs is None:
        pairs = list(dict.fromkeys(followed[["src_layer", "dst_layer"]].itertuples(index=False, name=None)))
    chosen = []
    for layers in pairs:
        between = composed[(composed["src_layer"] == layers[0]) & (composed["dst_layer"] == layers[1])]
        ends = []
        for side, layer in zip(("src_head", "dst_head"), layers, strict=True):
            best = between.groupby(side)["value"].max().nlargest(settings.edge_heads).index
            own = [head for head in heads if head[0] == layer]
            ends.append(own if len(own) <= settings.edge_heads else [head for head in own if head[1] in best])
        chosen.append((ends[0], ends[1]))
    return chosen


def edges(
    settings: AblateSettings,
    weights: Weights,
    between: list[tuple[list[Head], list[Head]]],
    sample: Sample,
    first: int,
) -> pd.DataFrame:
    """Cut each edge from one of some heads to one of others, as `of_edges` lists them.

    `first` is the first position of text: what followed [BEGIN] is no target, though [BEGIN] may end documents too.
    """
    sample, frames = sample.first(settings.edge_sentences), []
    role = induction.targets(sample.tokens, first)
    for sources, readers in between:
        if not (sources and readers):
            continue
        shown = tqdm(sources, desc=f"edges, {sample.which['eval_set']}")
        sizes = settings.batch, sample.places(settings.positions)
        losses, whole, moved = every_edge(weights, sample.tokens, shown, readers, role, *sizes)
        frame = sample.rows("source kind reader", losses - whole, loss=losses).rename(columns={"value": "difference"})
        frame["induction_change"] = moved.numpy()[frame["source"], frame["kind"], frame["reader"]]
        frame.loc[frame["token_class"] != "all", "induction_change"] = math.nan
        frame["kind"] = frame["kind"].map(dict(enumerate(INPUTS)))
        frame[["src_layer", "src_head"]] = [sources[place] for place in frame.pop("source")]
        frame[["dst_layer", "dst_head"]] = [readers[place] for place in frame.pop("reader")]
        frames.append(frame)
    return together(EDGES, frames)


def by_path(settings: AblateSettings, weights: Weights, sample: Sample) -> tuple[pd.DataFrame, ...]:
    """Return PATHS, TERM_ORDERS and SENTENCE_ORDERS of a model whose paths add up."""
    read = what_is_read(weights)
    parts = (Held.of(weights, forward(weights, part), read) for part in sample.tokens.split(settings.batch))
    losses = torch.cat([order_losses(held) for held in parts], 1)
    even = torch.full_like(losses[:1], math.log(weights.d_vocab))
    gains = -torch.cat([even, losses]).diff(dim=0)
    by_sentence = to_frame("order sentence", value=gains[..., 1:].mean(-1))
    by_sentence = by_sentence.assign(weight=gains.shape[-1] - 1, **sample.which)
    sample, count = sample.first(settings.path_sentences), (1 + weights.n_heads) ** weights.n_layers
    few = len(sample.tokens)
    orders = sample.rows("order", gains[:, :few], loss=losses[:, :few]).rename(columns={"value": "gain"})
    if weights.n_layers > 2 or count > settings.most_paths:
        print(f"{count} paths through {weights.n_layers} layers: losses by order only, no path is listed")
        return together(PATHS, []), orders, by_sentence
    names = path_names(weights)
    logits, targets = path_effects.predictions(Held.of(weights, forward(weights, sample.tokens)))
    paths = path_rows(settings, sample, logits, targets)
    passed = [(*names[place], DIRECT)[:2] for place in paths.pop("path")]  # one layer has no second
    paths[["l0", "l1"]] = passed
    groups = group_rows(sample, logits, targets, path_effects.groups_of(names))
    return paths, pd.concat([orders, groups]), by_sentence


def path_rows(settings: AblateSettings, sample: Sample, logits: Tensor, targets: Tensor) -> pd.DataFrame:
    """Return what each path does, by class of tokens."""
    effects = (path_effects.contributions, path_effects.losses_removed)
    means = [path_effects.placed(effect(logits, targets), len(sample.tokens)) for effect in effects]
    frame = sample.rows("path", means[0], loss_removed=means[1]).rename(columns={"value": "logit_contribution"})
    classes = rearrange(sample.classes[:, :, 1:], "kind batch position -> kind (batch position)")
    sampling = settings.order_pairs, settings.confidence, sample.generator()
    share, half_width = path_effects.shares(logits, targets, classes, *sampling)
    where = frame["path"], frame["token_class"].map(CLASSES.index)
    ends = {"": share, "_lo": share - half_width, "_hi": share + half_width}
    for end, values in ends.items():
        frame[f"shapley{end}"] = values.numpy()[where]
    return frame.drop(columns=["lo", "hi"])


def group_rows(sample: Sample, logits: Tensor, targets: Tensor, groups: dict[str, Tensor]) -> pd.DataFrame:
    """Return what each group of paths earns, by class of tokens."""
    worths = path_effects.group_worths(logits, targets, groups)
    earned = path_effects.group_shares(worths)
    earned = {name: path_effects.placed(values, len(sample.tokens)) for name, values in earned.items()}
    alone = math.log(logits.shape[-1]) - earned["first"]
    frame = sample.rows("group", earned.pop("share"), loss=alone, **earned).rename(columns={"value": "gain"})
    return frame.assign(group=frame["group"].map(dict(enumerate(groups))))


def contributions(settings: AblateSettings, weights: Weights, sample: Sample) -> pd.DataFrame:
    """Return what each part of the model adds to the logit of the token that comes."""
    read, split = what_is_read(weights), sample.tokens.split(settings.batch)
    parts = [Held.of(weights, forward(weights, part), read).contributions() for part in split]
    names = pd.DataFrame(list(parts[0])).astype({"layer": "Int64", "head": "Int64"})
    added = torch.stack([torch.cat([found[part] for found in parts]) for part in parts[0]])
    return (
        sample.rows("part", added).rename(columns={"value": "contribution"}).join(names, on="part").drop(columns="part")
    )


def lens(settings: AblateSettings, weights: Weights, sample: Sample) -> pd.DataFrame:
    """Return what the stream before each layer, and the last one, would predict."""
    sample = sample.first(settings.path_sentences)
    parts = [logit_lens(weights, forward(weights, part)) for part in sample.tokens.split(settings.batch)]
    found = {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}
    return sample.rows("depth", found.pop("loss"), **found).rename(columns={"value": "loss"})


if __name__ == "__main__":
    main(AblateSettings, run)
