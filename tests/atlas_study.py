"""A study of four runs with a page of its own, some of whose tokens are made to do harm."""

from itertools import product

import pandas as pd
from made_up_rows import filled

from pipeline.atlas import TABLES, WHOLE, run
from pipeline.atlas_page.contents import parts
from pipeline.plumbing.artefacts import Paths, write
from pipeline.plumbing.compose import compose
from pipeline.settings.atlas import AtlasSettings
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.summarise import RUNS

HOSTILE = (
    "<script>document.title='run'</script>",
    "</script><img src=x onerror=\"document.title='run'\">",
    "\u202eleft",
    "$\\alpha_",
    "&lt;b&gt;",
    "\x1b[31m",
    "`${1}`",
    "Ġdog",
)
MEMBERS = (("base", 0), ("base", 1), ("other", 0), ("other", 1))
LAYERS = HEADS = 2
LENGTH = len(HOSTILE)
PLACES = [
    {"experiment": experiment, "seed": seed, "layer": layer, "head": head}
    for (experiment, seed), layer, head in product(MEMBERS, range(LAYERS), range(HEADS))
]
SCORES = (
    ("previous_token", "mean", "text", None),
    ("induction", "mass", "repeated_tokens", 37),
    ("induction", "mass", "text", None),
    ("copying", "eigenvalue", "weights", None),
)
SETTINGS = compose((), (), "base", 0)["atlas"] | {
    "pattern_sentences": 2,
    "study": "<mine>",
    "request": "study=mine",
    "questions": [["base", "What is <b>usual</b>?"], ["other", "What else?"]],
}


def value_of(place, score):
    """Every head and score has a value of its own."""
    return (1 + place["head"] + 2 * place["layer"] + 4 * place["seed"]) / 20 + 0.01 * SCORES.index(score)


def _by_head(*rows):
    return [place | row for place in PLACES for row in rows]


def _scored(place, score):
    value = value_of(place, score)
    names = dict(zip(("metric", "definition", "eval_set", "period"), score, strict=True))
    level = {"value": value, "lo": value - 0.01, "hi": value + 0.02, "chance": 0.05, "ideal": 1.0}
    null = {"null_kind": "step_0", "null_mean": 0.05, "null_sd": 0.01, "z": 3.0, "p": 0.01, "q": 0.01}
    return place | names | level | null


def _triangle():
    pairs = [(query, key) for query in range(LENGTH) for key in range(query + 1)]
    terms = [*product(("stream", "position"), repeat=2), ("total", "total")]
    for (query_source, key_source), (query, key) in product(terms, pairs):
        pattern = 1 / (query + 1) if query_source == "total" else None
        tokens = {"query": query, "key": key, "query_token": HOSTILE[query], "key_token": HOSTILE[key]}
        sources = {"query_source": query_source, "key_source": key_source}
        yield sources | tokens | {"score": query - 2.0 * key, "pattern": pattern}


def _at_one_key(sentence):
    return [100 * (key == (0 if sentence else query)) for query in range(LENGTH) for key in range(query + 1)]


ROWS = {
    "head_scores": [_scored(place, score) for place in PLACES for score in SCORES],
    "head_roles": _by_head({"role": "induction", "named": "induction", "evidence": "seen", "previous_token": 0.3}),
    "claims": [
        {
            "experiment": "base",
            "claim": "there_is_one",
            "statement": "There is <i>one</i>",
            "evidence": "seed 0: head 1.1: 0.922 (q 0.1); seed 1: head 0.1: 0.8",
            "verdict": "reproduced",
            "value": 0.9,
            "lo": 0.8,
            "hi": 1.0,
            "chance": 0.1,
            "threshold": 0.5,
            "least_shown": 0.06,
        }
    ],
    "head_matches": [
        place | {"reference_experiment": "base", "reference_head": place["head"], "similarity": 0.9, "at_random": 0.1}
        for place in PLACES
    ],
    "effects": [
        {"experiment": "other", "role": "induction", "metric": "induction", "definition": "mass", "against": "base"}
        | {"eval_set": "text", "value": 0.5, "base": 0.3, "difference": 0.2, "lo": 0.1, "hi": 0.3, "q": 0.01}
    ],
    "alignment": [
        {"experiment": experiment, "seed_a": 0, "seed_b": 1, "layer_a": layer, "head_a": head, "layer_b": layer}
        | {"head_b": HEADS - 1 - head, "space": "vocabulary", "matrix": "OV", "correlation": 0.7, "matched": True}
        for experiment, layer, head in product(("base", "other"), range(LAYERS), range(HEADS))
    ],
    "head_pairs": [
        {"experiment": experiment, "seed": seed, "src_layer": 0, "src_head": src, "dst_layer": 1, "dst_head": dst}
        | {"metric": "K_composition", "definition": "frobenius", "eval_set": "weights", "value": 0.1, "chance": 0.05}
        for (experiment, seed), src, dst in product(MEMBERS, range(HEADS), range(HEADS))
    ],
    "term_maps": _by_head(*_triangle()),
    "sentence_patterns": _by_head(  # every query at one key: its own, in sentence 0, or the first, in sentence 1
        *({"eval_set": "text", "sentence": sentence, "attention": _at_one_key(sentence)} for sentence in (0, 1))
    ),
    "offset_profiles": _by_head(
        *(
            {"query_source": source, "key_source": source, "offset": offset, "keys": "all", "mean_score": -offset}
            | {"mean_pattern": 1 / (1 + offset) if source == "total" else None}
            for source, offset in product(("stream", "position", "total"), range(LENGTH))
        )
    ),
    "vocab_pairs": _by_head(
        *(
            {"circuit": circuit, "end": end, "rank": rank, "row_token": token, "column_token": token, "value": 9 - rank}
            for circuit, end, (rank, token) in product(("OV", "QK"), ("top", "bottom"), enumerate(HOSTILE))
        )
    ),
    "vocab_units": _by_head(
        *(
            {"matrix": matrix, "unit": 0, "end": end, "rank": rank, "token": token, "value": 1.0}
            for matrix, end, (rank, token) in product(
                ("OV_SVD_left", "OV_SVD_right", "W_Q"), ("top", "bottom"), enumerate(HOSTILE)
            )
        )
    ),
    "spectra": _by_head(*({"circuit": circuit, "index": 0, "real": 2.0} for circuit in ("OV", "QK"))),
    "ablations": _by_head(
        *(
            {"method": method, "eval_set": "repeated_text", "token_class": "second_copy", "difference": 0.5}
            for method in ("zero", "random_direction")
        )
    ),
    "role_coverage": _by_head({"role": "induction", "eval_set": "text", "share": 0.8, "lo": 0.7, "hi": 0.9}),
    "checkpoint_scores": _by_head(
        *(
            {"step": step, "metric": "induction", "definition": "mass", "eval_set": "text", "value": step / 100}
            for step in (0, 10, 100)
        )
    ),
    "sentence_scores": [
        place
        | {"metric": "induction", "definition": "mass", "eval_set": "text", "sentence": sentence, "weight": 1.0}
        | {"value": (1 + place["seed"]) * sentence / 20}
        for place, sentence in product(PLACES, range(20))
    ],
}
SENTENCES = [
    {"eval_set": "text", "sentence": sentence, "position": position, "token": token}
    for sentence, (position, token) in product(range(20), enumerate(HOSTILE))
]


def make_page(folder):
    """Write the study's tables and its page; return the page's file."""
    held = parts(
        SETTINGS["pairs"],
        SETTINGS["direction_tokens"],
        SETTINGS["pattern_sentences"],
        tuple(map(tuple, SETTINGS["by_sentence"])),
        tuple(SETTINGS["sentences_of"]),
    )
    inputs = Paths([folder / f"{name}.parquet" for name in (*held, *WHOLE, "runs")])
    for name in (*held, *WHOLE):
        table = TABLES[name][1]
        write(table, filled(table, ROWS.get(name, [])), inputs)
    stages = ("probe", "score")
    runs = [
        {"experiment": experiment, "seed": seed, "stage": stage, "id": "a1", "settings": '{"seed": 0}'}
        for (experiment, seed), stage in product(MEMBERS, stages)
    ]
    write(RUNS, pd.DataFrame(runs), inputs)
    sequences = Paths([folder / "a1/sequences.parquet"])
    write(SEQUENCES, filled(SEQUENCES, SENTENCES), sequences)
    outputs = Paths([folder / "atlas.html"], "{}")
    run(AtlasSettings.parse(SETTINGS), Paths([*inputs.files, *sequences.files]), outputs)
    return outputs.files[0]
