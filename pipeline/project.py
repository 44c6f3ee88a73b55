"""Read every head through the vocabulary: its strongest token pairs, singular directions and eigenvalues.

A finished layer is kept beside the outputs, so that a killed job goes on after it. Jobs can share the layers.
"""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.transformer.attention import turns
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary import full_circuits as circuits
from pipeline.circuits.vocabulary.distances import TokenMoments, score_parts
from pipeline.circuits.vocabulary.lens import Lens, lens_of
from pipeline.circuits.vocabulary.normalisers import notebook_normalisers
from pipeline.circuits.vocabulary.spectra import Spectrum, centred, moments, relative_gaps, spectrum
from pipeline.circuits.vocabulary.tall import Tall, within_range
from pipeline.circuits.vocabulary.token_filters import Filters
from pipeline.circuits.vocabulary.top_pairs import top_pairs
from pipeline.circuits.vocabulary.top_tokens import top_tokens
from pipeline.frames.tensors import to_frame
from pipeline.frames.together import together
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.resumption import is_done, load_progress, portion, save_progress, tag_of
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.project import ProjectSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.project import DISTANCE_SCORES, SPECTRA, VOCAB_COUNTS, VOCAB_PAIRS, VOCAB_UNITS

TABLES = (VOCAB_PAIRS, VOCAB_COUNTS, VOCAB_UNITS, SPECTRA, DISTANCE_SCORES)
CIRCUITS = tuple(circuits.PASSED)
PORTION = 512  # neurons or tokens whose products are formed at a time; bounds memory, not the result


def run(settings: ProjectSettings, inputs: Paths, outputs: Paths) -> None:
    """Put together what other jobs listed of the layers, or list them."""
    torch.set_num_threads(settings.threads)
    if parts := list(zip(*(inputs.all(f"{table.name}.parquet") for table in TABLES), strict=True)):
        put_together([Paths(files) for files in parts], outputs)
    else:
        list_layers(settings, inputs, outputs)


def list_layers(settings: ProjectSettings, inputs: Paths, outputs: Paths) -> None:
    """List every layer of this job, or find it listed; then put them together."""
    vocabulary, weights = read(VOCABULARY, inputs), weights_in(read_parts(WEIGHTS, inputs))
    check_layers(settings, weights.n_layers)
    # Not an output: those the engine removes when it starts a killed job again.
    progress = outputs.file(f"{SPECTRA.name}.parquet").with_name(".progress")
    tag = tag_of(inputs, outputs)
    readings = list(readings_of(settings, weights, vocabulary, occurrences_in(inputs, vocabulary), progress, tag))
    shown = items_shown(readings[0].lens, vocabulary)
    names = tuple(table.name for table in TABLES)
    layers = range(weights.n_layers)
    layers = layers if settings.part is None else layers[settings.part :: settings.parts]
    done = {layer: portion(progress / f"{layer}", names, tag) for layer in layers}
    for layer, tables in done.items():
        if not is_done(tables):
            for table, frame in layer_tables(settings, weights, readings, layer, shown).items():
                write(table, frame, tables)
    put_together(done.values(), outputs)
    shutil.rmtree(progress, ignore_errors=True)


def occurrences_in(inputs: Paths, vocabulary: pd.DataFrame) -> Tensor:
    """Count how often each token of VOCABULARY stands in those of TOKENS for training.

    What begins and ends a text is in none: it counts once a document.
    """
    documents = read(TOKENS, inputs)
    trained_on = documents.loc[documents["split"] == "train", "token_ids"]
    counts = np.bincount(np.concatenate(trained_on.to_list()), minlength=len(vocabulary))
    return torch.from_numpy(counts + len(trained_on) * (vocabulary["role"] != "text").to_numpy())


@dataclass(frozen=True, eq=False)
class Reading:
    """A model read from one embedding, and what its layers share."""

    lens: Lens
    shared: circuits.SharedRows
    moments: TokenMoments | None  # of a rotary model


def readings_of(
    settings: ProjectSettings,
    weights: Weights,
    vocabulary: pd.DataFrame,
    occurrences: Tensor,
    progress: Path,
    tag: str,
) -> Iterator[Reading]:
    """Yield the model read from each embedding that it has; what takes minutes is kept in `progress`."""
    for mode in dict.fromkeys("embedding" if weights.ff_keys is None else mode for mode in settings.emb_modes):
        lens = lens_with(settings, weights, vocabulary, occurrences, mode)
        if settings.normaliser == "notebook":
            lens = replace(lens, means=means_of(lens.weights, progress / f"means_{mode}.safetensors", tag))
        moments = None
        if weights.positions == "rotary":
            moments = TokenMoments.of(weights, lens.weights.W_E[: lens.n_tokens], occurrences)
        yield Reading(lens, circuits.shared_rows(lens.weights, lens.n_tokens), moments)


def lens_with(
    settings: ProjectSettings, weights: Weights, vocabulary: pd.DataFrame, occurrences: Tensor | None, emb_mode: str
) -> Lens:
    """Return the model as it is read through its VOCABULARY, without normalisers."""
    texts = [text if isinstance(text, str) else None for text in vocabulary["text"]]
    filters = Filters(settings.filters, settings.stem_length, settings.edit_length)
    return lens_of(weights, texts, settings.ln_mode, emb_mode, settings.positions, filters, occurrences)


def items_shown(lens: Lens, vocabulary: pd.DataFrame) -> np.ndarray:
    """Return every item that pairs are of as tables show it, by its row: tokens, then positions."""
    return np.array([*vocabulary["token"], *(f"[pos {n}]" for n in range(lens.n_positions))], dtype=object)


def check_layers(settings: ProjectSettings, n_layers: int) -> None:
    """Refuse a head or neuron of a layer that the model lacks; ValueError."""
    neurons = settings.neurons if isinstance(settings.neurons, tuple) else ()
    for unit in (*(settings.heads or ()), *neurons):
        if place_of(unit)[0] >= n_layers:
            raise ValueError(f"{unit}: the model has {n_layers} layers, counted from 0; name one of them")


def put_together(portions: Collection[Paths], outputs: Paths) -> None:
    """Write each table from those of some layers; none, if a job of several has no layer left to do."""
    for table in TABLES:
        frames = [read(table, tables) for tables in portions]
        write(table, together(table, [frame for frame in frames if len(frame)]), outputs)


def means_of(weights: Weights, path: Path, tag: str) -> dict[str, Tensor]:
    """Return what values are divided by, which takes minutes: computed once a job, however often it is killed."""
    saved = load_progress(path, tag)
    if saved is not None:
        return saved[0]
    means = notebook_normalisers((weights.one_layer(layer) for layer in range(weights.n_layers)), PORTION)
    save_progress(path, tag, means, None)
    return means


def layer_tables(
    settings: ProjectSettings, weights: Weights, readings: list[Reading], layer: int, shown: np.ndarray
) -> dict[Table, pd.DataFrame]:
    """Return one layer's rows of every table; `shown` is every vocabulary item as tables show it."""
    lens, shared = readings[0].lens, readings[0].shared
    spectra, units = [], list(neuron_rows(settings, lens, lens.weights.one_layer(layer), layer))
    heads = within(settings.heads, layer, weights.n_heads)
    # The first layer's heads read what no feed-forward part has seen.
    of_layer = [one for one in readings if layer or one.lens.emb_mode == "embedding"] or readings
    pairs, parts = [], [part_rows(settings, weights, one, layer, heads) for one in of_layer]
    answers = {head: circuits.responses(lens.weights, (layer, head), shared.tokens) for head in heads}
    units += dimension_rows(settings, lens, answers)
    for head in tqdm(heads, desc=f"layer {layer} of {weights.n_layers}, heads"):
        for one in of_layer:
            rows = circuit_rows(
                settings, one.lens, circuits.responses(one.lens.weights, (layer, head), one.shared.items)
            )
            pairs += [of_end.assign(head=head) for of_end in rows]
        for circuit, factors in circuits.full_circuits(answers[head]).items():
            whole = spectrum(*factors, shared.meetings[circuit], settings.directions)
            spectra.append(spectrum_rows(whole, lens.n_tokens).assign(circuit=circuit, head=head))
            units += [rows.assign(head=head) for rows in direction_rows(settings, lens, circuit, whole)]
    pairs = together(VOCAB_PAIRS, pairs).assign(layer=layer, exact=True, normaliser=settings.normaliser)
    pairs = pairs.assign(ln_mode=lens.ln_mode).astype({"distance": "Int64"})
    pairs = pairs.assign(**{f"{side}_token": shown[pairs[f"{side}_id"].astype(int)] for side in ("row", "column")})
    units = together(VOCAB_UNITS, units).assign(layer=layer, token=lambda rows: shown[rows["token_id"].astype(int)])
    others = {SPECTRA: spectra, DISTANCE_SCORES: parts}
    return {VOCAB_PAIRS: pairs, VOCAB_COUNTS: count_rows(pairs), VOCAB_UNITS: units} | {
        table: together(table, rows).assign(layer=layer) for table, rows in others.items()
    }


def circuit_rows(
    settings: ProjectSettings, lens: Lens, answers: dict[str, Tall], names: Collection[str] = CIRCUITS
) -> Iterator[pd.DataFrame]:
    """Yield the strongest pairs of a head's circuits, of its `responses`; QK at each distance of a rotary model."""
    factors = circuits.full_circuits(answers)
    factors = {name: factors[name] for name in names}
    turned = turns_of(lens.weights, 1 + max(settings.distances))
    wanted = {} if turned is None else {distance: turned[distance] for distance in settings.distances}
    for circuit, distance, sides in circuits.at_distances(factors, wanted):
        for rows in pair_rows(settings, lens, circuit, circuits.normalised(circuit, sides, lens.means)):
            yield rows.assign(distance=distance, emb_mode=lens.emb_mode)


def turns_of(weights: Weights, distances: int) -> Tensor | None:
    """Return `turns` of a model at so many distances, from 0; None without rotary positions."""
    if weights.positions != "rotary":
        return None
    return turns(weights.parameter("rotary_frequency"), weights.rotary_pairs, weights.d_head, distances)


def part_rows(
    settings: ProjectSettings, weights: Weights, reading: Reading, layer: int, heads: list[int]
) -> pd.DataFrame:
    """Return the rows of DISTANCE_SCORES of some heads of a layer."""
    turned = turns_of(weights, settings.score_distances)
    if turned is None or reading.moments is None:
        return pd.DataFrame()
    position, content = score_parts(weights, layer, reading.moments, turned)
    frame = to_frame("head distance", position_part=position, content_part=content)
    return frame[frame["head"].isin(heads)].assign(emb_mode=reading.lens.emb_mode)


def filters_name(settings: ProjectSettings, circuit: str) -> str:
    """Filters and limits in effect on a circuit, joined by +."""
    limits = {name: getattr(getattr(settings, name), circuit) for name in ("min_value", "max_value")}
    limits["min_share"] = settings.min_share
    return "+".join([*settings.filters, *(f"{name}={limit:g}" for name, limit in limits.items() if limit is not None)])


def pair_rows(
    settings: ProjectSettings, lens: Lens, circuit: str, factors: circuits.TallFactors
) -> Iterator[pd.DataFrame]:
    """Yield the strongest pairs of one circuit, an end at a time."""
    low, high = (getattr(limits, circuit) for limits in (settings.min_value, settings.max_value))
    low, high = -inf if low is None else low, inf if high is None else high
    P, Q = factors
    masks = lens.mask[: len(P)], lens.mask[: len(Q)]
    strongest = top_pairs(P, Q, settings.pairs, *masks, lens.allowed, low, high, int(settings.tile_mb * 2**20))
    mean, deviation = moments(P, Q)
    # Means are computed in the precision of the embedding: equal tokens may have means that differ by rounding.
    resolution = 16 * torch.finfo(lens.weights.W_E.dtype).eps if lens.means else 1e-12
    # Of tokens, not of positions.
    occurrences = pd.Series([] if lens.occurrences is None else lens.occurrences.numpy(), dtype="Int64")
    for end, pairs in (("top", strongest.top), ("bottom", strongest.bottom)):
        z = centred(pairs.values, mean, deviation, resolution)
        rows = to_frame("rank", row_id=pairs.rows, column_id=pairs.columns, value=pairs.values, z=z)
        for side in ("row", "column"):
            rows[f"{side}_occurrences"] = occurrences.reindex(rows[f"{side}_id"]).array
        strength = rows["value"] if end == "top" else -rows["value"]
        if settings.min_share is not None and len(rows):
            rows = rows[(strength > 0) & (strength > settings.min_share * strength[0])]
        named = {"circuit": circuit, "filters": filters_name(settings, circuit)}
        yield rows.assign(end=end, entries_scored=strongest.entries_scored, **named)


def count_rows(pairs: pd.DataFrame) -> pd.DataFrame:
    """Count in how many of a list's pairs each token stands, on either side."""
    sides = []
    for side in ("row", "column"):
        rows = pairs.rename(columns={f"{side}_id": "token_id", f"{side}_token": "token"}).assign(side=side)
        key = [column.name for column in VOCAB_COUNTS.columns if column.name != "count"]
        sides.append(rows.groupby(key, sort=False, dropna=False).size().rename("count").reset_index())
    return pd.concat(sides)


def spectrum_rows(whole: Spectrum, d_vocab: int) -> pd.DataFrame:
    """Eigenvalues and singular values of one circuit."""
    real, imaginary, values = whole.eigenvalues.real, whole.eigenvalues.imag, whole.singular_values
    gaps = relative_gaps(values, d_vocab)
    return to_frame("index", real=real, imaginary=imaginary, singular_value=values, gap=gaps)


def direction_rows(settings: ProjectSettings, lens: Lens, circuit: str, whole: Spectrum) -> Iterator[pd.DataFrame]:
    """Yield the tokens of the largest singular directions of one circuit, on both sides."""
    for side in ("left", "right"):
        directions = rearrange(getattr(whole, side), "token unit -> unit token")
        yield unit_rows(settings, lens, f"{circuit}_SVD_{side}", directions)


def dimension_rows(
    settings: ProjectSettings, lens: Lens, answers: dict[int, dict[str, Tall]]
) -> Iterator[pd.DataFrame]:
    """Yield the tokens that excite heads' queries, keys and values, and those their outputs promote.

    A matrix of all heads is read through the vocabulary at once, which is gone through for each else.
    """
    for matrix in circuits.MATRICES if answers else ():
        of_heads = [of_head[matrix] for of_head in answers.values()]
        wanted = [components.matrix[:, : settings.dimensions] for components in of_heads]
        formed = Tall(of_heads[0].rows, torch.cat(wanted, 1)).formed()
        for place, (head, own) in enumerate(zip(answers, wanted, strict=True)):
            listed = formed[:, place * own.shape[1] : (place + 1) * own.shape[1]]
            listed = rearrange(listed, "token unit -> unit token").contiguous()
            yield unit_rows(settings, lens, matrix, listed).assign(head=head)


def place_of(unit: str) -> tuple[int, int]:
    """Return layer and number of what is named layer.number."""
    layer, _, number = unit.partition(".")
    return int(layer), int(number)


def within(units: tuple[str, ...] | None, layer: int, count: int) -> list[int]:
    """Return the numbers of those named layer.number that lie in a layer of so many; None for all.

    Raises:
        ValueError: the layer has no such number.
    """
    if units is None:
        return list(range(count))
    numbers = sorted(number for at, number in map(place_of, units) if at == layer)
    if numbers and numbers[-1] >= count:
        raise ValueError(
            f"{layer}.{numbers[-1]}: layer {layer} has {count} such units, counted from 0; name one of them"
        )
    return numbers


def neuron_rows(settings: ProjectSettings, lens: Lens, alone: Weights, layer: int) -> Iterator[pd.DataFrame]:
    """Yield the tokens that excite each listed neuron of a layer (key), and those it promotes (value)."""
    if alone.ff_keys is None:
        return
    chosen, count = settings.neurons, len(alone.ff_keys[0])
    listed = within(chosen, layer, count) if isinstance(chosen, tuple) else list(range(count))[:chosen]
    maps = {
        "FF_key": (alone.ff_keys[0], alone.W_E[: lens.n_tokens].T),
        "FF_value": (alone.parameter("ff_values")[0], alone.W_U),
    }
    for matrix, (vectors, to_tokens) in maps.items():
        reading, scale = within_range(vectors, to_tokens)
        for part in torch.tensor(listed, dtype=torch.int64).split(PORTION):
            rows = unit_rows(settings, lens, matrix, reading[part] @ to_tokens)
            yield rows.assign(unit=part.numpy()[rows["unit"]], value=scale * rows["value"], head=None)


def unit_rows(settings: ProjectSettings, lens: Lens, matrix: str, components: Tensor) -> pd.DataFrame:
    """Top and bottom tokens of some vectors [unit, token], given their components on every token."""
    mean = lens.means.get(matrix)
    components = components if mean is None else components / mean[: lens.n_tokens]
    ends = [
        to_frame("unit rank", token_id=ids, value=values.double()).assign(end=end)
        for end, ids, values in top_tokens(components, settings.unit_tokens, lens.mask[: lens.n_tokens])
    ]
    return pd.concat(ends).assign(matrix=matrix, normaliser="none" if mean is None else settings.normaliser)


if __name__ == "__main__":
    main(ProjectSettings, run)
