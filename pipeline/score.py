"""Score every head and every pair of heads, by every published definition: what it attends to, copies, feeds."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import pandas as pd
import torch
from safetensors import safe_open
from tqdm import tqdm

from pipeline.circuits.definitions import measure_pairs
from pipeline.circuits.definitions.chance_of_heads import (
    Draws,
    Reference,
    of_circuits,
    of_relations,
    of_sequences,
    random_heads,
)
from pipeline.circuits.definitions.chance_of_pairs import RandomPairs, of_pairs
from pipeline.circuits.definitions.measure_heads import circuit_scores, sequence_scores, text_ranks, text_scores
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.held import Held, adds_up
from pipeline.circuits.scores.induction import nearest
from pipeline.circuits.scores.score import Scores, stacked
from pipeline.circuits.scores.subspaces import Span, directions, spans
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.frames.scores import beside_chance, loss_rows, null_rows, score_rows, sentence_rows
from pipeline.frames.tensors import labels_of, sequences_of, sets_of, to_frame
from pipeline.frames.together import together
from pipeline.frames.weights import weights_in
from pipeline.models.families import to_weights
from pipeline.models.word_pairs import found
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.score import ScoreSettings
from pipeline.tables import score as tables
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import LOSS_SEQUENCES, SEQUENCES

LayerPair = tuple[int, int]
SETS, PAIR = ["eval_set", "period"], ["src_layer", "src_head", "dst_layer", "dst_head"]


@dataclass
class Rows:
    """Rows of tables, as they come."""

    scores: list[pd.DataFrame] = field(default_factory=list)
    nulls: list[pd.DataFrame] = field(default_factory=list)
    sentences: list[pd.DataFrame] = field(default_factory=list)
    losses: list[pd.DataFrame] = field(default_factory=list)
    of_tokens: dict[tuple[str, int | None], torch.Tensor] = field(default_factory=dict)  # losses by eval_set and period


def run(settings: ScoreSettings, inputs: Paths, outputs: Paths) -> None:
    """Run the model on every set of sequences, read its circuits, follow its pairs of heads."""
    torch.set_num_threads(settings.threads)
    step = json.loads(inputs.whole("config.json").read_text(encoding="utf-8")).get("step")
    weights = weights_in(read_parts(WEIGHTS, inputs))
    sequences, vocabulary = read(SEQUENCES, inputs), read(VOCABULARY, inputs)
    first = int((vocabulary["role"] == "begin").any())
    draws = Draws(
        settings.draws,
        settings.pair_draws,
        settings.ranked_draws,
        settings.tile,
        settings.batch,
        settings.null_sentences,
    )
    generator = torch.Generator().manual_seed(settings.seed)
    ranked = spread(weights.d_vocab, settings.ranked_tokens)
    reference = Reference.of(weights, before_training(inputs), ranked, draws, generator)

    heads = of_heads(settings, reference, sequences, first)
    pairs = relation_pairs(vocabulary)
    write(tables.RELATION_PAIRS, pairs, outputs)
    of_words(settings, reference, pairs, heads)
    scores, nulls = beside_chance(pd.concat(heads.scores), heads.nulls, ["layer", "head"], SETS)
    write(tables.HEAD_SCORES, scores.assign(step=step), outputs)
    write(tables.NULLS, nulls.assign(step=step), outputs)
    write(tables.SENTENCE_SCORES, together(tables.SENTENCE_SCORES, heads.sentences), outputs)
    write(tables.LOSS_BY_POSITION, together(tables.LOSS_BY_POSITION, heads.losses, step=step), outputs)
    many = read(LOSS_SEQUENCES, inputs)
    larger = many["eval_set"].unique()
    known = {which: losses for which, losses in heads.of_tokens.items() if which[0] not in larger}
    many = pd.concat([many, sequences[~sequences["eval_set"].isin(larger)]])
    losses = sentence_losses(settings, weights, many, known)
    write(tables.SENTENCE_LOSSES, together(tables.SENTENCE_LOSSES, losses), outputs)
    sides = {layer: spans(reference.folded, layer) for layer in range(weights.n_layers)}
    composed = {
        layers: measure_pairs.composition_scores(reference.folded, *layers, sides)
        for layers in combinations(range(weights.n_layers), 2)
    }
    listed = [directions_of(settings, weights, sides, layers) for layers in composed if settings.directions]
    write(tables.PAIR_DIRECTIONS, together(tables.PAIR_DIRECTIONS, listed), outputs)
    followed = strongest(composed) if settings.layer_pairs is None else list(settings.layer_pairs)
    pairs = of_all_pairs(settings, reference, sequences, sides, composed, followed)
    scores, nulls = together(tables.HEAD_PAIRS, pairs.scores), together(tables.PAIR_NULLS, pairs.nulls)
    if pairs.scores:
        scores, nulls = beside_chance(scores, pairs.nulls, PAIR, ["eval_set"])
    write(tables.HEAD_PAIRS, scores.assign(step=step), outputs)
    write(tables.SENTENCE_PAIRS, together(tables.SENTENCE_PAIRS, pairs.sentences), outputs)
    write(tables.PAIR_NULLS, nulls.assign(step=step), outputs)
    promoted = virtual_tokens(settings, weights, sequences, vocabulary, followed)
    write(tables.VIRTUAL_HEADS, together(tables.VIRTUAL_HEADS, promoted), outputs)


def before_training(inputs: Paths) -> Weights | None:
    """Return the model as it was before training; None where that was not kept."""
    with safe_open(inputs.whole("checkpoints.safetensors"), framework="pt") as checkpoints:
        if 0 not in json.loads(checkpoints.metadata()["steps"]):
            return None
        config = json.loads(inputs.whole("config.json").read_text(encoding="utf-8"))
        return to_weights(config, lambda name: checkpoints.get_tensor(f"0/{name}").float())


def of_heads(settings: ScoreSettings, reference: Reference, sequences: pd.DataFrame, first: int) -> Rows:
    """Score every layer's circuits, then the model on every set of sequences, each beside chance."""
    rows, weights, folded = Rows(), reference.weights, reference.folded
    random = random_heads(reference, sequences_of(sequences, "text")[:, first:])
    for layer in tqdm(range(weights.n_layers), desc="circuits"):
        scores = {}
        for mode, reading in reference.met(layer).items():
            ranking = reference.ranked, settings.tile
            scores |= circuit_scores(reading.weights, layer, *ranking, reading.between, mode)
        which = {"layer": layer, "eval_set": "weights", "period": None}
        rows.scores.append(score_rows("head", scores, None, settings.confidence, **which))
        rows.nulls.append(null_rows("head", of_circuits(reference, layer, scores, random), **which))
    of_text = torch.from_numpy(sequences.loc[sequences["period"].isna(), "token_id"].unique())
    near = nearest(weights.W_E, of_text, settings.near, settings.tile)
    # Patterns are scored, and tokens predicted, from earlier tokens alone.
    sets = sets_of(sequences) if weights.attends == "back" else []
    for eval_set, period in tqdm(sets, desc="sequences"):
        which = {"eval_set": eval_set, "period": period}
        tokens = Tokens(sequences_of(sequences, **which), first, period, near=near if period is None else None)
        scores, losses = sequence_scores(weights, tokens, settings.batch)
        if eval_set == "text":
            previous = scores["previous_token", "mean"].value
            scores |= text_scores(folded, tokens.tokens, first, previous, settings.tile)
            for mode, reading in reference.readings.items():
                if mode != "embedding":
                    scores |= text_ranks(reading.weights, tokens.tokens[:, first:], settings.tile, mode)
        counts = resamples(settings, len(tokens.tokens))
        rows.scores.append(score_rows("layer head", scores, counts, settings.confidence, **which))
        rows.nulls.append(null_rows("layer head", of_sequences(reference, tokens, scores, random), **which))
        rows.sentences.append(sentence_rows("layer head", scores, **which))
        rows.of_tokens[eval_set, period] = losses
        frame = to_frame("sentence position", loss=losses)
        frame["token_class"] = labels_of(sequences, **which, column="token_class").ravel()
        by_class = frame.dropna().groupby(["position", "token_class"])["loss"].agg(["mean", "count"]).reset_index()
        rows.losses.append(by_class.rename(columns={"mean": "loss", "count": "n"}).assign(**which))
    for frames in (rows.scores, rows.nulls):
        frames[:] = [frame.astype({"period": "Int64"}) for frame in frames if len(frame)]
    return rows


def relation_pairs(vocabulary: pd.DataFrame) -> pd.DataFrame:
    """Return RELATION_PAIRS: every pair of words, looked up among the tokens' texts."""
    texts = vocabulary.dropna(subset="text").drop_duplicates("text")
    pairs = pd.DataFrame(found(dict(zip(texts["text"], texts["token_id"], strict=True))))
    return pairs.astype({"source_id": "Int64", "target_id": "Int64"})


def of_words(settings: ScoreSettings, reference: Reference, pairs: pd.DataFrame, rows: Rows) -> None:
    """Score the relations that each layer's heads know, beside chance, into `rows`."""
    used = pairs.dropna()
    ids = {name: used.loc[used["relation"] == name, ["source_id", "target_id"]] for name in pairs["relation"].unique()}
    relations = {name: torch.tensor(of_name.to_numpy("int64").T) for name, of_name in ids.items()}
    for layer in range(reference.weights.n_layers):
        which = {"layer": layer, "eval_set": "weights", "period": None}
        generator = torch.Generator().manual_seed(settings.seed)
        scores, chances = of_relations(reference, layer, relations, settings.relation_pairs, generator)
        frames = score_rows("head", scores, None, settings.confidence, **which), null_rows("head", chances, **which)
        for of_rows, frame in zip((rows.scores, rows.nulls), frames, strict=True):
            of_rows.append(frame.astype({"period": "Int64"}))


def sentence_losses(
    settings: ScoreSettings,
    weights: Weights,
    sequences: pd.DataFrame,
    known: dict[tuple[str, int | None], torch.Tensor],
) -> Iterator[pd.DataFrame]:
    """Yield what the model loses on each sequence of each set, part by part; of some sets it is known."""
    for eval_set, period in tqdm(sets_of(sequences) if weights.attends == "back" else [], desc="losses"):
        which = {"eval_set": eval_set, "period": period}
        tokens = sequences_of(sequences, **which)
        parts = tokens.split(settings.batch)
        losses = known.get((eval_set, period))
        if losses is None:
            losses = torch.cat([token_losses(forward(weights, part).logits, part) for part in parts])
        labels = labels_of(sequences, **which, column="token_class")
        yield loss_rows(losses, labels, settings.loss_parts, **which)


def resamples(settings: ScoreSettings, sentences: int) -> torch.Tensor:
    """Draw resamples [resample, sentence]: the same for every set of as many sentences."""
    return resampled_counts(sentences, settings.resamples, torch.Generator().manual_seed(settings.seed))


def of_all_pairs(
    settings: ScoreSettings,
    reference: Reference,
    sequences: pd.DataFrame,
    sides: Mapping[int, dict[str, Span]],
    composed: dict[LayerPair, Scores],
    followed: list[LayerPair],
) -> Rows:
    """Put chance beside how each pair of layers' heads compose, and what flows through pairs of the followed ones."""
    rows, weights, folded = Rows(), reference.weights, reference.folded
    if not composed:  # of one layer
        return rows
    text = sequences_of(sequences, "text")
    some = text[: settings.path_sentences]
    held = Held.of(weights, forward(weights, some)) if adds_up(weights) else None
    counts = resamples(settings, len(some))
    random = RandomPairs.of(reference, sides)
    for (source, reader), scores in tqdm(composed.items(), desc="pairs"):
        if (source, reader) in followed:
            ranking = reference.ranked, settings.tile, reference.between
            scores = scores | measure_pairs.circuit_scores(folded, source, reader, *ranking)
            if held is not None:
                writers = [(source, head) for head in range(weights.n_heads)]
                scores |= stacked([measure_pairs.path_scores(held, head, reader) for head in writers])
        axes, layers = "src_head dst_head", {"src_layer": source, "dst_layer": reader}
        rows.scores.append(score_rows(axes, scores, counts, settings.confidence, **layers))
        rows.nulls.append(null_rows(axes, of_pairs(reference, random, source, reader, scores, text), **layers))
        rows.sentences.append(sentence_rows(axes, scores, eval_set="text", **layers))
    return rows


def directions_of(
    settings: ScoreSettings, weights: Weights, sides: Mapping[int, dict[str, Span]], layers: LayerPair
) -> pd.DataFrame:
    """Return how much two layers' pairs share of each of the first heads' largest singular directions."""
    source, reader = layers
    written, frames = sides[source]["O"], []
    for through in ("Q", "K", "V"):
        value = directions(written, sides[reader][through])[..., : settings.directions]
        size = written.sizes[:, None, : settings.directions].expand_as(value)
        frame = to_frame("src_head dst_head direction", value=value, singular_value=size)
        frames.append(frame.assign(through=through, src_layer=source, dst_layer=reader))
    return pd.concat(frames).assign(chance=weights.d_model**-0.5)


def strongest(composed: dict[LayerPair, Scores]) -> list[LayerPair]:
    """List the layers of the two heads that compose most through keys; none where no head feeds another."""
    most = {
        layers: scores["K_composition", "frobenius"].value.nan_to_num().max() for layers, scores in composed.items()
    }
    return sorted(most, key=most.__getitem__)[-1:]


def virtual_tokens(
    settings: ScoreSettings,
    weights: Weights,
    sequences: pd.DataFrame,
    vocabulary: pd.DataFrame,
    followed: list[LayerPair],
) -> Iterator[pd.DataFrame]:
    """Yield the tokens that the followed pairs of heads promote on the demonstration sentence."""
    if not adds_up(weights):
        return
    held = Held.of(weights, forward(weights, sequences_of(sequences, "demo")))
    tokens = vocabulary.set_index("token_id")["token"]
    pairs = [pair for pair in followed if pair[1] < weights.n_layers]
    for source, reader in pairs:
        writers = [(source, head) for head in range(weights.n_heads)]
        of_writers = measure_pairs.promoted_tokens(held, writers, reader, settings.top_tokens)
        for (_, head), promoted in zip(writers, of_writers, strict=True):
            for path, (logits, ids) in promoted.items():
                frame = to_frame("dst_head sentence position rank", logit=logits.double(), token=ids)
                frame["token"] = frame["token"].map(tokens)
                frame["dst_head"] = f"{reader}." + frame["dst_head"].astype(str)
                yield frame.assign(src_head=f"{source}.{head}", kind=path)


if __name__ == "__main__":
    main(ScoreSettings, run)
