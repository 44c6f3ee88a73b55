"""Make the page on which every head of the study can be looked at: one file, from the study's tables alone."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from pipeline.atlas_page.blocks import pack
from pipeline.atlas_page.contents import RUN, Part, by_block, parts, where_tokens_are
from pipeline.atlas_page.page import page
from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.circuits.definitions.words import level_in_words
from pipeline.claims.crossed import weighted_mean
from pipeline.plumbing.artefacts import Paths, read, read_file, read_parts, recorded
from pipeline.plumbing.stage import main
from pipeline.settings.atlas import AtlasSettings
from pipeline.tables.align import ALIGNMENT
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE
from pipeline.tables.summarise import RUNS

OF_A_SCORE = ["layer", "head", "metric", "definition", "eval_set", "period"]
WHOLE = ("claims", "head_roles", "head_matches", "intervals", "effects")
OF_RUNS = {table.name: (stage, table.with_run()) for stage, tables in OF_A_RUN.items() for table in tables}
OF_THE_STUDY = {"alignment": ("align", ALIGNMENT), **{table.name: ("judge", table) for table in OF_JUDGE}}
TABLES = OF_RUNS | OF_THE_STUDY


def run(settings: AtlasSettings, inputs: Paths, outputs: Paths) -> None:
    """Read what the page holds, pack it by study, run and head, and write the page."""
    held = parts(
        settings.pairs,
        settings.direction_tokens,
        settings.pattern_sentences,
        settings.by_sentence,
        settings.sentences_of,
    )
    frames = {name: rows_of(name, part, inputs) for name, part in held.items()}
    runs = read(RUNS, inputs)
    whole = {name: read(TABLES[name][1], inputs) for name in WHOLE}
    study = whole | {name: frames[name] for name, part in held.items() if part.of == "study"}
    sentences = int(frames["sentence_scores"]["sentence"].max() + 1) if len(frames["sentence_scores"]) else 0
    blocks = {"study": pack(study, settings.bits, about(settings, runs, held, sentences))}
    blocks["tokens"] = pack({"tokens": where_tokens_are(frames["vocab_pairs"])}, settings.bits)
    for path in inputs.all("sequences.parquet"):
        sequences = read_file(SEQUENCES, path)
        sequences = sequences[sequences["eval_set"].isin(settings.sentences_of)]
        shown = sequences[["eval_set", "period", "sentence", "position", "token", "token_class"]]
        blocks[f"sequences/{path.parent.name}"] = pack({"sequences": shown}, settings.bits)
    for (experiment, seed), rows in frames["sentence_scores"].groupby(RUN):
        blocks[f"sentences/{experiment}/{seed}"] = pack({"influences": influences(rows)}, settings.influence_bits)
    frames["sentence_scores"] = frames["sentence_scores"].drop(columns="weight")
    blocks |= {name: pack(rows, settings.bits) for name, rows in by_block(frames, held)}
    with recorded(outputs, "atlas.html") as temporary:
        temporary.write_text(page(f"{settings.study}: every head", blocks), encoding="utf-8")


def rows_of(name: str, part: Part, inputs: Paths) -> pd.DataFrame:
    """Return what the page holds of a table; in arrow's types, whose integers may be null."""
    columns = list(dict.fromkeys([*part.keys, *part.columns]))
    rows = [chosen(rows, part).select(columns) for rows in read_parts(TABLES[name][1], inputs)]
    return pa.concat_tables(rows).to_pandas(types_mapper=pd.ArrowDtype).reset_index(drop=True)


def chosen(rows: pa.Table, part: Part) -> pa.Table:
    """Return the rows that a part keeps."""
    for column, values in part.where.items():
        kept = pc.field(column).isin(list(values)) if values else pc.field(column).is_null()
        rows = rows.filter(kept)
    for column in part.keys:
        rows = rows.filter(~pc.field(column).is_null())
    return rows


def influences(sentence_scores: pd.DataFrame) -> pd.DataFrame:
    """Return what each sentence adds to each score, as `weighted_mean` says: by that, runs are compared."""
    parts = [pd.DataFrame(columns=[*OF_A_SCORE, "sentence", "influence"])]
    for names, rows in sentence_scores.groupby(OF_A_SCORE, dropna=False):
        influence = weighted_mean(rows[["value", "weight", "sentence"]].astype(float)).influence
        score: dict[str, Any] = dict(zip(OF_A_SCORE, names, strict=True))
        parts.append(influence.rename("influence").reset_index().assign(**score))
    numbers = dict.fromkeys(("layer", "head", "period", "sentence"), "Int64")
    return pd.concat(parts).astype(numbers | {"influence": float}).reset_index(drop=True)


def about(settings: AtlasSettings, runs: pd.DataFrame, held: dict[str, Part], sentences: int) -> dict[str, Any]:
    """Return what the page says of the study, on so many sentences at most, and of how its numbers were made."""
    shown = [*held, *WHOLE]
    freedom = np.arange(sentences + 1).clip(2) - 1
    return {
        "study": settings.study,
        "request": settings.request,
        "questions": dict(settings.questions),
        "significance": settings.significance,
        "quantiles": stats.t.ppf((1 + settings.confidence) / 2, freedom).tolist(),  # of a mean over n sentences, by n
        "made": runs[[*RUN, "stage", "id"]].to_dict("records"),
        "settings": {
            f"{stage}/{identity}": json.loads(given)
            for stage, identity, given in zip(runs["stage"], runs["id"], runs["settings"], strict=True)
        },
        "tables": {name: table_in_words(name) for name in shown},
        "definitions": [
            {
                "metric": entry.metric,
                "definition": entry.definition,
                "meaning": entry.meaning,
                "source": entry.source,
                "unit": entry.unit,
                "chance": level_in_words(entry.chance),
                "ideal": level_in_words(entry.ideal),
                "threshold": None if math.isnan(entry.threshold) else entry.threshold,
                "nulls": list(entry.nulls),
            }
            for entry in DEFINITIONS.values()
        ],
    }


def table_in_words(name: str) -> dict[str, Any]:
    """Return who makes a table, what a row of it is, and every column's unit and meaning."""
    stage, table = TABLES[name]
    columns = {column.name: [column.unit, column.meaning] for column in table.columns}
    return {"stage": stage, "row": table.row, "key": list(table.key), "columns": columns}


if __name__ == "__main__":
    main(AtlasSettings, run)
