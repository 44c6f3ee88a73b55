"""Split every head's attention scores by what fed its queries and keys."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from tqdm import tqdm

from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.terms.decomposition import TOTAL, Decomposition, decompose
from pipeline.circuits.terms.sources import QueriesKeys, streams, terms
from pipeline.circuits.terms.walk import Layer, walk
from pipeline.circuits.transformer.attention import pattern
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.frames.tensors import labels_of, sequences_of, sets_of, to_frame
from pipeline.frames.weights import weights_in
from pipeline.plumbing.artefacts import Paths, arrow_schema, read, read_parts, write, write_parts
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.decompose import DecomposeSettings
from pipeline.tables.decompose import (
    ATTENTION_TERMS,
    OFFSET_PROFILES,
    SENTENCE_PATTERNS,
    SENTENCE_TERMS,
    TERM_MAPS,
)
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES

FOUR = ("token", "position")  # whose pairs are the notebook's terms
HEADS = 4  # whose queries and keys are held at a time; bounds memory, not the result


def run(settings: DecomposeSettings, inputs: Paths, outputs: Paths) -> None:
    """Take the heads apart on held-out text, layer by layer."""
    torch.set_num_threads(settings.threads)
    step = json.loads(inputs.whole("config.json").read_text(encoding="utf-8")).get("step")
    weights, sequences = weights_in(read_parts(WEIGHTS, inputs)), read(SEQUENCES, inputs)
    begins = bool((read(VOCABULARY, inputs)["role"] == "begin").any())
    parts: dict[Table, list[pa.Table]] = {
        table: [] for table in (ATTENTION_TERMS, SENTENCE_TERMS, OFFSET_PROFILES, TERM_MAPS)
    }
    if weights.attends == "back" and weights.score_cap is None:
        for table, part in described(settings, weights, sequences, step, begins):
            parts[table].append(part)
    elif weights.score_cap is not None:
        print("the model caps its scores: softmax reads no sum of terms, so they are not described")
    else:
        print("the model attends both ways: statistics are over keys up to the query, so its terms are not described")
    for table in parts:
        write_parts(table, parts[table], outputs)
    names = list(SENTENCE_PATTERNS.names)
    kept = sentence_patterns(weights, sequences, settings.pattern_sentences) if weights.attends == "back" else []
    write(SENTENCE_PATTERNS, pd.DataFrame([row for rows in kept for row in rows], columns=names), outputs)


def described(
    settings: DecomposeSettings, weights: Weights, sequences: pd.DataFrame, step: int | None, begins: bool
) -> Iterator[tuple[Table, pa.Table]]:
    """Yield each table's rows, a layer at a time; a deep model's are too many to hold as frames."""
    tokens = sequences_of(sequences, "text")
    generator = torch.Generator().manual_seed(settings.seed)
    counts, judging = (resampled_counts(n, settings.resamples, generator) for n in (len(tokens), len(tokens) // 2))
    shown = labels_of(sequences, "demo", None, "token")[0, : settings.map_tokens]
    demo = sequences_of(sequences, "demo")[:1, : settings.map_tokens]
    # In float64: trained heads' terms reach hundreds and cancel, so that float32 would cost their sum four digits.
    layers = (walk(weights, some, settings.batch, settings.apart) for some in (tokens, demo))
    with tqdm(total=weights.n_layers * weights.n_heads, desc="heads") as bar:
        for number, (layer, shown_layer) in enumerate(zip(*layers, strict=True)):
            statistics, sentences, profiles = [], [], []
            for head, sources in by_head(layer):
                for keys, of_keys in decompose(sources, tokens, counts, judging, settings.confidence, begins).items():
                    which = {"head": head, "step": step, "keys": keys}
                    of_head = statistic_rows(of_keys).assign(confidence=settings.confidence, n=len(tokens))
                    statistics.append(of_head.assign(**which))
                    profiles.append(profile_rows(of_keys).assign(**which))
                    if number == 0:  # the notebook's layer
                        sentences.append(sentence_rows(of_keys).assign(**which))
                bar.update()
            rows = {ATTENTION_TERMS: statistics, OFFSET_PROFILES: profiles, TERM_MAPS: maps(shown_layer, shown)}
            if sentences:
                rows[SENTENCE_TERMS] = sentences
            for table, frames in rows.items():
                yield table, rows_of(table, frames, number)


def by_head(layer: Layer) -> Iterator[tuple[int, QueriesKeys]]:
    """Yield every head of a layer, and what each source gives its queries and keys."""
    n_heads = layer.weights.n_heads
    for start in range(0, n_heads, HEADS):
        some = layer.queries_keys(slice(start, start + HEADS))
        for place in range(min(HEADS, n_heads - start)):
            yield start + place, {name: (query[:, place], key[:, place]) for name, (query, key) in some.items()}


def sentence_patterns(weights: Weights, sequences: pd.DataFrame, sentences: int) -> Iterator[list[tuple]]:
    """Yield every head's attention in the first sentences of every set, a sentence at a time, as SENTENCE_PATTERNS."""
    for eval_set, period in [*sets_of(sequences), ("demo", None)]:
        for sentence, tokens in enumerate(sequences_of(sequences, eval_set, period)[:sentences]):
            attention = forward(weights, tokens[None]).pattern[0]
            seen = torch.ones(attention.shape[-2:], dtype=torch.bool).tril()
            percent = (attention[..., seen] * 100).round().to(torch.int32).numpy()
            yield [(*head, eval_set, period, sentence, percent[head]) for head in np.ndindex(percent.shape[:2])]


def rows_of(table: Table, frames: Iterable[pd.DataFrame], layer: int) -> pa.Table:
    """Return one layer's rows as they are written: in the table's order, nulls first."""
    frame = pd.concat(frames).assign(layer=layer).sort_values(list(table.key), na_position="first")
    schema = arrow_schema(table)
    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)


def named(frame: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Replace the term axis by the sources of its pairs."""
    query, key = np.array(pairs, dtype=object)[frame["term"]].T
    return frame.drop(columns="term").assign(query_source=query, key_source=key)


def statistic_rows(of_head: Decomposition) -> pd.DataFrame:
    """Return one head's statistics; those that are undefined have no row."""
    frame = to_frame("term statistic", value=of_head.value, lo=of_head.lo, hi=of_head.hi)
    statistic, component = np.array(of_head.statistics, dtype=object)[frame["statistic"]].T
    frame = frame.assign(statistic=statistic, component=component)
    return named(frame, of_head.pairs).dropna(subset="value")


def sentence_rows(of_head: Decomposition) -> pd.DataFrame:
    """Return one head's statistics of the notebook's four terms by sentence; those that are undefined have no row."""
    frames = [
        to_frame("term sentence", value=value, weight=weight).assign(statistic=statistic)
        for statistic, (value, weight) in of_head.sentences.items()
    ]
    frame = named(pd.concat(frames), of_head.pairs).dropna(subset="value")
    return frame[frame["query_source"].isin(FOUR) & frame["key_source"].isin(FOUR)]


def profile_rows(of_head: Decomposition) -> pd.DataFrame:
    """Return one head's mean scores, and the whole scores' mean attention, by distance."""
    frame = to_frame("term offset", mean_score=of_head.offset_score)
    total = frame["term"] == of_head.pairs.index(TOTAL)
    frame.loc[total, "mean_pattern"] = of_head.offset_pattern.numpy()
    return named(frame, of_head.pairs)


def maps(
    layer: Layer,
    shown: np.ndarray,
    heads: slice = slice(None),
    grouped: Callable[[QueriesKeys], QueriesKeys] = streams,
) -> Iterator[pd.DataFrame]:
    """Yield score maps of a layer's heads, counted from the first of them, on the tokens shown of one sentence.

    Args:
        layer: which layer, run on the sentence.
        shown: the sentence's tokens.
        heads: which of its heads.
        grouped: merges sources; as the notebook does, if not given.
    """
    split = list(terms(grouped(layer.queries_keys(heads))))
    total = reduce(torch.add, [term for _, _, term in split])
    attention = pattern(total)[0]
    for query_source, key_source, term in [*split, (*TOTAL, total)]:
        frame = to_frame("head query key", score=term[0], pattern=attention)
        frame = frame[frame["key"] <= frame["query"]]
        if (query_source, key_source) != TOTAL:
            frame = frame.assign(pattern=np.nan)
        frame = frame.assign(query_token=shown[frame["query"]], key_token=shown[frame["key"]])
        yield frame.assign(query_source=query_source, key_source=key_source)


if __name__ == "__main__":
    main(DecomposeSettings, run)
