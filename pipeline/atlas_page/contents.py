"""What of a study's tables goes into the page, and into which of its blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

RUN = ["experiment", "seed"]
HEAD = [*RUN, "layer", "head"]
TERMS = ("position", "stream", "total")
DIRECTIONS = ("OV_SVD_left", "OV_SVD_right", "QK_SVD_left", "QK_SVD_right")
LEVELS = ("value", "lo", "hi", "chance")


@dataclass(frozen=True)
class Part:
    """Some rows and columns of one table."""

    of: Literal["study", "run", "head"]  # a block of it all, a block a run, a block a head
    columns: tuple[str, ...]  # beside those that name the run, and the head
    where: dict[str, tuple] = field(default_factory=dict)  # the values of a column that are kept; none: null

    @property
    def keys(self) -> list[str]:
        """The columns that say which block a row goes to; of a study's, none do."""
        return {"study": [], "run": RUN, "head": HEAD}[self.of]


SCORES = (
    *("layer", "head", "metric", "definition", "eval_set", "period", *LEVELS),
    *("ideal", "null_kind", "null_mean", "null_sd", "z", "p", "q"),
)
MATCHES = ("seed_a", "seed_b", "layer_a", "head_a", "layer_b", "head_b", "matrix", "correlation", "chance")
EDGES = ("src_layer", "src_head", "dst_layer", "dst_head")
CHANGES = ("eval_set", "period", "token_class", "difference", "lo", "hi")


def parts(
    pairs: int,
    direction_tokens: int,
    pattern_sentences: int,
    by_sentence: tuple[tuple[str, str], ...],
    sentences_of: tuple[str, ...],
) -> dict[str, Part]:
    """Return what the page holds of each table, by the table's name.

    Args:
        pairs: of each circuit and end.
        direction_tokens: of each end of each singular direction.
        pattern_sentences: of each set, in which attention is shown.
        by_sentence: metric and definition whose values by sentence it holds.
        sentences_of: the sets of sequences of these.
    """
    metrics, definitions = zip(*by_sentence, strict=True)
    sentences = {"metric": metrics, "definition": definitions, "eval_set": sentences_of}
    terms = {"query_source": TERMS, "key_source": TERMS}
    return {
        "head_scores": Part("study", (*RUN, *SCORES)),
        "alignment": Part("study", ("experiment", *MATCHES), {"matched": (True,), "space": ("vocabulary",)}),
        "head_pairs": Part("run", (*EDGES, "metric", "definition", "eval_set", *LEVELS, "null_kind", "z", "q")),
        "edges": Part("run", (*EDGES, "kind", *CHANGES), {"eval_set": ("repeated_text", "repeated_tokens")}),
        "set_ablations": Part("run", ("role", "kind", "size", "draw", "heads", *CHANGES, "share")),
        "training_curve": Part("run", ("step", "split", "loss")),
        "term_maps": Part(
            "head",
            ("query_source", "key_source", "query", "key", "query_token", "key_token", "score", "pattern"),
            terms,
        ),
        "sentence_patterns": Part(
            "head",
            ("eval_set", "period", "sentence", "attention"),
            {"eval_set": sentences_of, "sentence": tuple(range(pattern_sentences))},
        ),
        "offset_profiles": Part(
            "head", ("query_source", "key_source", "keys", "offset", "mean_score", "mean_pattern"), terms
        ),
        "vocab_pairs": Part(
            "head",
            (
                *("circuit", "emb_mode", "distance", "end", "rank", "row_token", "row_occurrences"),
                *("column_token", "column_occurrences", "value", "z", "normaliser", "filters", "ln_mode"),
            ),
            {"rank": tuple(range(pairs))},
        ),
        "vocab_units": Part(
            "head",
            ("matrix", "unit", "end", "rank", "token", "value"),
            {"matrix": DIRECTIONS, "rank": tuple(range(direction_tokens))},
        ),
        "spectra": Part("head", ("circuit", "index", "real", "imaginary", "singular_value", "gap")),
        "ablations": Part("head", ("method", *CHANGES, "n")),
        "role_coverage": Part(
            "head", ("role", "effect", "mass", "share", "lo", "hi", "chance", "chance_hi", "above_lo", "above_hi")
        ),
        "challenge_scores": Part("head", ("challenge", "level", "metric", "definition", *LEVELS)),
        "checkpoint_scores": Part(
            "head", ("step", "metric", "definition", "eval_set", "period", "value", "chance"), {"src_layer": ()}
        ),
        "sentence_scores": Part(
            "head", ("metric", "definition", "eval_set", "period", "sentence", "value", "weight"), sentences
        ),
    }


def by_block(frames: dict[str, pd.DataFrame], held: dict[str, Part]) -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Yield the blocks of runs and of heads: their names, and their tables' rows.

    Args:
        frames: rows of every table of `held`, with the columns that name run and head.
        held: what the page holds of each table.
    """
    for of, keys in (("run", RUN), ("head", HEAD)):
        groups = {name: _groups(frames[name], keys) for name, part in held.items() if part.of == of}
        for key in sorted(set().union(*groups.values())):
            rows = {name: found.get(key, frames[name].iloc[:0].drop(columns=keys)) for name, found in groups.items()}
            yield _name(of, key), rows


def _groups(frame: pd.DataFrame, keys: list[str]) -> dict[tuple, pd.DataFrame]:
    groups = frame.groupby(keys, sort=False)
    return {key: rows.drop(columns=keys).reset_index(drop=True) for key, rows in groups}


def _name(of: str, key: tuple) -> str:
    """Return as what the page asks for a block: run/base/0, head/base/0/1.5."""
    experiment, seed, *head = key
    return "/".join([of, experiment, str(seed), *([".".join(map(str, head))] if head else [])])


def where_tokens_are(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return every token of a head's strongest pairs, with the best of its places there, by circuit, end and side."""
    keys = ["token", *HEAD, "circuit", "end", "side"]
    sides = [pairs.rename(columns={f"{side}_token": "token"}).assign(side=side) for side in ("row", "column")]
    return pd.concat(side[[*keys, "rank"]] for side in sides).groupby(keys)["rank"].min().reset_index()
