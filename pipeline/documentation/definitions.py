"""Which definition of a score to take, as docs/definitions.md shows it.

`python -m pipeline.documentation.definitions results/studies/known_answers/definition_power.parquet` prints every
definition, best first; with `--best`, the first of each function, as the README has it.
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.claims.definition_power import ALL, DEFINITION, best_ways

HEADER = (
    "| function | definition | measured on | area under the curve | least, in which models | power at {level:.0%} "
    "false positives | threshold for that | usual threshold | power there | false discoveries there | sentences |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def definitions(rows: pd.DataFrame, only_best: bool) -> str:
    """Return a Markdown table, a row a definition in the way in which it tells heads apart best.

    Args:
        rows: DEFINITION_POWER.
        only_best: whether each function's first alone is shown.
    """
    best = best_ways(rows)
    best = best.drop_duplicates("metric") if only_best else best
    lines = [HEADER.format(level=rows["level"].iloc[0])]
    for row in best.to_dict("records"):
        same = (rows[DEFINITION] == [row[name] for name in DEFINITION]).all(axis=1)
        worst = rows[same & (rows["kind"] != ALL)].sort_values("auc", kind="stable").iloc[0]
        sentences = row["sentences_for_auc"]
        cells = [
            row["metric"].replace("_", " "),
            f"`{row['definition']}`",
            row["measured_on"].replace("_", " "),
            f"{row['auc']:.3f} [{row['auc_lo']:.3f}, {row['auc_hi']:.3f}]",
            f"{worst['auc']:.3f}, {worst['kind'].replace('_', '-')}",
            f"{row['power_at_level']:.2f} [{row['power_at_level_lo']:.2f}, {row['power_at_level_hi']:.2f}]",
            f"{row['threshold_at_level']:.3g}",
            f"{row['threshold']:.3g}, {row['threshold_from']}",
            f"{row['power']:.2f}",
            "" if pd.isna(row["false_discoveries"]) else f"{row['false_discoveries']:.2f}",
            "" if pd.isna(sentences) else f"{sentences:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.documentation.definitions", description=__doc__)
    parser.add_argument("table", type=Path, help="definition_power.parquet of study=known_answers")
    parser.add_argument("--best", action="store_true", help="print the first definition of each function alone")
    given = parser.parse_args(arguments)
    if not given.table.is_file():
        parser.error(f"{given.table}: no such file; make it by snakemake --config study=known_answers")
    print(definitions(pd.read_parquet(given.table), given.best), end="")


if __name__ == "__main__":
    main()
