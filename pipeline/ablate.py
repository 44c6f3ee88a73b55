"""Take heads, edges between heads and paths away, and see what the loss does."""

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
from pipeline.circuits.causes.ablation import METHODS, every_ablation
from pipeline.circuits.causes.class_means import class_means
from pipeline.circuits.causes.edges import INPUTS, every_edge
from pipeline.circuits.causes.paths import DIRECT, adds_up, order_losses, path_names
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.scores import induction
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.frames.tensors import labels_of, sequences_of, to_frame
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.ablate import AblateSettings
from pipeline.tables.ablate import ABLATIONS, EDGES, PATHS, TERM_ORDERS
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.probe import SEQUENCES

CLASSES = ("all", "novel", "first_copy", "second_copy")


@dataclass(frozen=True)
class Sample:
    """Some sentences of one set, and the classes of their tokens."""

    which: dict[str, Any]  # eval_set, period
    tokens: Tensor  # [batch, position]
    classes: Tensor  # [class, batch, position], of CLASSES
    resamples: int
    confidence: float
    seed: int

    def first(self, sentences: int) -> Self:
        """Return the same of the first few sentences."""
        return replace(self, tokens=self.tokens[:sentences], classes=self.classes[:, :sentences])

    def generator(self) -> Generator:
        """Return a generator in its first state."""
        return Generator().manual_seed(self.seed)

    def rows(self, axes: str, means: Tensor, **more: Tensor) -> pd.DataFrame:
        """Return a row an element and class of tokens: `means` [*axes, batch, position] averaged, as value, lo, hi, n.

        More tensors [*axes, batch, position] are averaged into columns of their names.
        """
        counts = resampled_counts(len(self.tokens), self.resamples, self.generator())
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
    """Ablate every head, cut every edge, and split the logits into paths, on each set of sequences."""
    torch.set_num_threads(settings.threads)
    weights, sequences = weights_in(read_parts(WEIGHTS, inputs)), read(SEQUENCES, inputs)
    measured = list(samples(settings, sequences)) if weights.attends == "back" else []
    if weights.attends != "back":
        print("the model attends both ways, and predicts no next token: nothing is ablated")
    splits = adds_up(weights)
    if measured and not splits:
        print("the model has norms, feed-forward parts or biases: its logits are no sum over paths, and none is listed")
    write(ABLATIONS, together(ABLATIONS, (ablations(settings, weights, sample) for sample in measured)), outputs)
    write(EDGES, together(EDGES, (edges(settings, weights, sample) for sample in measured)), outputs)
    split = [by_path(settings, weights, sample) for sample in tqdm(measured if splits else [], desc="paths")]
    for side, table in enumerate((PATHS, TERM_ORDERS)):
        write(table, together(table, (tables[side] for tables in split)), outputs)


def together(table: Table, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return frames as one; an empty table if there are none."""
    return pd.concat([pd.DataFrame(columns=table.names).astype(object), *frames])


def samples(settings: AblateSettings, sequences: pd.DataFrame) -> Iterator[Sample]:
    """Yield the sentences of each chosen set; the class `other` of sequences is `novel` here."""
    for eval_set in settings.eval_sets:
        periods = sequences.loc[sequences["eval_set"] == eval_set, "period"]
        if periods.empty:
            print(f"{eval_set}: there are no such sequences, so nothing is ablated on them")
            continue
        which = {"eval_set": eval_set, "period": None if periods.isna().all() else int(periods.min())}
        tokens = sequences_of(sequences, **which)[: settings.sentences]
        names = labels_of(sequences, **which, column="token_class")[: settings.sentences]
        classes = [torch.ones_like(tokens, dtype=torch.bool)]
        classes += [torch.as_tensor(names == name) for name in ("other", *CLASSES[2:])]
        yield Sample(which, tokens, torch.stack(classes), settings.resamples, settings.confidence, settings.seed)


def chosen_heads(settings: AblateSettings, weights: Weights) -> list[Head]:
    """List the heads to ablate: all, or as many as allowed, evenly spaced."""
    heads = list(product(range(weights.n_layers), range(weights.n_heads)))
    count = min(settings.heads, len(heads))
    return [heads[place * len(heads) // count] for place in range(count)]


def ablations(settings: AblateSettings, weights: Weights, sample: Sample) -> pd.DataFrame:
    """Ablate each head by each method."""
    heads = chosen_heads(settings, weights)
    shown = tqdm(heads, desc=f"heads, {sample.which['eval_set']}")
    losses, whole = every_ablation(weights, sample.tokens, shown, sample.generator(), settings.batch)
    frame = sample.rows("place method", losses - whole, loss=losses).rename(columns={"value": "difference"})
    frame["method"] = frame["method"].map(dict(enumerate(METHODS)))
    frame[["layer", "head"]] = [heads[place] for place in frame.pop("place")]
    return frame


def edges(settings: AblateSettings, weights: Weights, sample: Sample) -> pd.DataFrame:
    """Cut each edge between two of the heads that are ablated, in the chosen pairs of layers."""
    sample, frames = sample.first(settings.edge_sentences), []
    role = induction.targets(sample.tokens, 0)  # [BEGIN] never comes again, so it needs no exception
    for pair in settings.layer_pairs:
        sources, readers = ([head for head in chosen_heads(settings, weights) if head[0] == layer] for layer in pair)
        if not (sources and readers):
            continue
        shown = tqdm(sources, desc=f"edges, {sample.which['eval_set']}")
        losses, whole, moved = every_edge(weights, sample.tokens, shown, readers, role, settings.batch)
        frame = sample.rows("source kind reader", losses - whole, loss=losses).rename(columns={"value": "difference"})
        frame["induction_change"] = moved.numpy()[frame["source"], frame["kind"], frame["reader"]]
        frame.loc[frame["token_class"] != "all", "induction_change"] = math.nan
        frame["kind"] = frame["kind"].map(dict(enumerate(INPUTS)))
        frame[["src_layer", "src_head"]] = [sources[place] for place in frame.pop("source")]
        frame[["dst_layer", "dst_head"]] = [readers[place] for place in frame.pop("reader")]
        frames.append(frame)
    return together(EDGES, frames)


def by_path(settings: AblateSettings, weights: Weights, sample: Sample) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return PATHS and TERM_ORDERS of a model whose paths add up."""
    sample, count = sample.first(settings.path_sentences), (1 + weights.n_heads) ** weights.n_layers
    trace = forward(weights, sample.tokens)
    losses = order_losses(weights, trace)
    even = torch.full_like(losses[:1], math.log(weights.d_vocab))
    orders = sample.rows("order", -torch.cat([even, losses]).diff(dim=0), loss=losses)
    orders = orders.rename(columns={"value": "gain"})
    if weights.n_layers > 2 or count > settings.most_paths:
        print(f"{count} paths through {weights.n_layers} layers: losses by order only, no path is listed")
        return together(PATHS, []), orders
    names = path_names(weights)
    logits, targets = path_effects.predictions(weights, trace)
    paths = path_rows(settings, sample, logits, targets)
    passed = [(*names[place], DIRECT)[:2] for place in paths.pop("path")]  # one layer has no second
    paths[["l0", "l1"]] = passed
    return paths, pd.concat([orders, group_rows(sample, logits, targets, path_effects.groups_of(names))])


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


if __name__ == "__main__":
    main(AblateSettings, run)
