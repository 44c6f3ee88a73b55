"""Read every head through the vocabulary: its strongest token pairs, singular directions and eigenvalues.

A finished layer is kept beside the outputs, so that a killed job goes on after it. Jobs can share the layers.
"""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary import full_circuits as circuits
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
from pipeline.tables.project import SPECTRA, VOCAB_COUNTS, VOCAB_PAIRS, VOCAB_UNITS

TABLES = (VOCAB_PAIRS, VOCAB_COUNTS, VOCAB_UNITS, SPECTRA)
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
    vocabulary = read(VOCABULARY, inputs)
    occurrences = occurrences_in(inputs, vocabulary)
    lens = lens_with(settings, weights_in(read_parts(WEIGHTS, inputs)), vocabulary, occurrences)
    shown = items_shown(lens, vocabulary)
    # Not an output: those the engine removes when it starts a killed job again.
    progress = outputs.file(f"{SPECTRA.name}.parquet").with_name(".progress")
    tag = tag_of(inputs, outputs)
    if settings.normaliser == "notebook":
        lens = replace(lens, means=means_of(lens.weights, progress / "means.safetensors", tag))
    check_layers(settings, lens.weights.n_layers)
    names = tuple(table.name for table in TABLES)
    layers = range(lens.weights.n_layers)
    layers = layers if settings.part is None else layers[settings.part :: settings.parts]
    done = {layer: portion(progress / f"{layer}", names, tag) for layer in layers}
    shared = circuits.shared_rows(lens.weights, lens.n_tokens)
    for layer, tables in done.items():
        if not is_done(tables):
            for table, frame in layer_tables(settings, lens, shared, layer, shown).items():
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


def lens_with(
    settings: ProjectSettings, weights: Weights, vocabulary: pd.DataFrame, occurrences: Tensor | None
) -> Lens:
    """Return the model as it is read through its VOCABULARY, without normalisers."""
    texts = [text if isinstance(text, str) else None for text in vocabulary["text"]]
    filters = Filters(settings.filters, settings.stem_length, settings.edit_length)
    return lens_of(weights, texts, settings.ln_mode, settings.emb_mode, settings.positions, filters, occurrences)


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
    settings: ProjectSettings, lens: Lens, shared: circuits.SharedRows, layer: int, shown: np.ndarray
) -> dict[Table, pd.DataFrame]:
    """Return one layer's rows of every table; `shown` is every vocabulary item as tables show it."""
    alone = lens.weights.one_layer(layer)
    pairs, spectra, units = [], [], list(neuron_rows(settings, lens, alone, layer))
    heads = within(settings.heads, layer, alone.n_heads)
    for head in tqdm(heads, desc=f"layer {layer} of {lens.weights.n_layers}, heads"):
        answers = circuits.responses(alone, (0, head), shared.tokens)
        units += [rows.assign(head=head) for rows in dimension_rows(settings, lens, answers)]
        of_items = circuits.full_circuits(circuits.responses(alone, (0, head), shared.items))
        for circuit, factors in circuits.full_circuits(answers).items():
            scaled = circuits.normalised(circuit, of_items[circuit], lens.means)
            pairs += [rows.assign(circuit=circuit, head=head) for rows in pair_rows(settings, lens, scaled)]
            whole = spectrum(*factors, shared.meetings[circuit], settings.directions)
            spectra.append(spectrum_rows(whole, lens.n_tokens).assign(circuit=circuit, head=head))
            units += [rows.assign(head=head) for rows in direction_rows(settings, lens, circuit, whole)]
    pairs = together(VOCAB_PAIRS, pairs).assign(layer=layer, exact=True, normaliser=settings.normaliser)
    pairs = pairs.assign(filters=filters_name(settings), ln_mode=lens.ln_mode, emb_mode=lens.emb_mode)
    pairs = pairs.assign(**{f"{side}_token": shown[pairs[f"{side}_id"].astype(int)] for side in ("row", "column")})
    units = together(VOCAB_UNITS, units).assign(layer=layer, token=lambda rows: shown[rows["token_id"].astype(int)])
    counts, spectra = count_rows(pairs), together(SPECTRA, spectra).assign(layer=layer)
    return {VOCAB_PAIRS: pairs, VOCAB_COUNTS: counts, VOCAB_UNITS: units, SPECTRA: spectra}


def filters_name(settings: ProjectSettings) -> str:
    """Filters and limits in effect, joined by +."""
    limits = {name: getattr(settings, name) for name in ("min_value", "max_value", "min_share")}
    return "+".join([*settings.filters, *(f"{name}={limit:g}" for name, limit in limits.items() if limit is not None)])


def pair_rows(settings: ProjectSettings, lens: Lens, factors: circuits.TallFactors) -> Iterator[pd.DataFrame]:
    """Yield the strongest pairs of one circuit, an end at a time."""
    low = -inf if settings.min_value is None else settings.min_value
    high = inf if settings.max_value is None else settings.max_value
    P, Q = factors
    masks = lens.mask[: len(P)], lens.mask[: len(Q)]
    strongest = top_pairs(P, Q, settings.pairs, *masks, lens.allowed, low, high, int(settings.tile_mb * 2**20))
    mean, deviation = moments(P, Q)
    # Means are computed in the precision of the embedding: equal tokens may have means that differ by rounding.
    resolution = 16 * torch.finfo(lens.weights.W_E.dtype).eps if lens.means else 1e-12
    occurrences = pd.Series([] if lens.occurrences is None else lens.occurrences, dtype="Int64")  # of no position
    for end, pairs in (("top", strongest.top), ("bottom", strongest.bottom)):
        z = centred(pairs.values, mean, deviation, resolution)
        rows = to_frame("rank", row_id=pairs.rows, column_id=pairs.columns, value=pairs.values, z=z)
        for side in ("row", "column"):
            rows[f"{side}_occurrences"] = occurrences.reindex(rows[f"{side}_id"]).array
        strength = rows["value"] if end == "top" else -rows["value"]
        if settings.min_share is not None and len(rows):
            rows = rows[(strength > 0) & (strength > settings.min_share * strength[0])]
        yield rows.assign(end=end, entries_scored=strongest.entries_scored)


def count_rows(pairs: pd.DataFrame) -> pd.DataFrame:
    """Count in how many of a list's pairs each token stands, on either side."""
    sides = []
    for side in ("row", "column"):
        rows = pairs.rename(columns={f"{side}_id": "token_id", f"{side}_token": "token"}).assign(side=side)
        key = [column.name for column in VOCAB_COUNTS.columns if column.name != "count"]
        sides.append(rows.groupby(key, sort=False).size().rename("count").reset_index())
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


def dimension_rows(settings: ProjectSettings, lens: Lens, answers: dict[str, Tall]) -> Iterator[pd.DataFrame]:
    """Yield the tokens that excite a head's queries, keys and values, and those its outputs promote."""
    for matrix, components in answers.items():
        listed = rearrange(components.formed(settings.dimensions), "token unit -> unit token")
        yield unit_rows(settings, lens, matrix, listed.contiguous())


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
