"""What each stage costs by the size of its model, as docs/scaling.md shows it.

`python -m pipeline.documentation.scaling results/benchmarks` prints it, from what `snakemake scaling` wrote there.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.plumbing import graph
from pipeline.tables.scaling import COST, SCALING, SCALING_FITS, SCALING_FORETOLD, SIZES

UNITS = {"cpu_seconds": ("CPU s", 1.0), "peak_bytes": ("memory, MB", 1e6), "stored_bytes": ("stored, MB", 1e6)}
AXES = [size.name for size in SIZES]
JOBS = 100  # that may run at one time, where many do
Row = Mapping[Any, Any]  # of a table


def exponents(measured: pd.DataFrame, fits: pd.DataFrame) -> str:
    """Return a Markdown table for each cost: what every stage costs at the base, and its exponents.

    Args:
        measured: SCALING; its base is the size that it has of most rows.
        fits: SCALING_FITS.
    """
    at_base = measured[(measured[AXES] == measured[AXES].mode().iloc[0]).all(axis=1)]
    base = {row["stage"]: row for row in at_base.to_dict("records")}
    laws = {(row["cost"], row["stage"], row["axis"]): row for row in fits.to_dict("records")}
    tables = []
    for cost, (unit, one) in UNITS.items():
        rows = []
        for stage in ordered(base):
            cells = [_law(laws[cost, stage, axis]) if (cost, stage, axis) in laws else "" for axis in AXES]
            rows.append([f"`{stage}`", f"{base[stage][cost] / one:.2g}", *cells])
        tables.append(_table([unit, "at the base", *AXES], rows))
    return "\n".join(tables)


def held_out(foretold: pd.DataFrame) -> str:
    """Return a Markdown table of SCALING_FORETOLD's size that was measured after it was foretold."""
    known = foretold[foretold["measured"].notna()].to_dict("records")
    rows = {(row["stage"], row["cost"]): row for row in known}
    body = [
        [f"`{stage}`", *(_beside(rows[stage, cost], one) for cost, (_, one) in UNITS.items())]
        for stage in ordered(row["stage"] for row in known)
    ]
    return _table(["stage", *(f"{unit}: foretold, measured" for unit, _ in UNITS.values())], body)


def larger(foretold: pd.DataFrame) -> str:
    """Return a Markdown table of what each larger model of SCALING_FORETOLD would cost, all of it extrapolated."""
    head = ["model", "CPU hours, one core", f"hours, {JOBS} jobs", "most memory of a job, GB", "stored, GB", "floors"]
    body = []
    for model, of_it in foretold[foretold["measured"].isna()].groupby("model", sort=False):
        of = {cost: rows.to_dict("records") for cost, rows in of_it.groupby("cost")}
        seconds, peak, stored = (of[cost] for cost in COST.options)
        most = max(peak, key=lambda row: row["value"])
        chain = longest({row["stage"]: row["value"] for row in seconds}, seconds[0]["layers"])
        floors = [[row["floor"] for row in rows if not pd.isna(row["floor"])] for rows in (seconds, peak, stored)]
        body.append(
            [
                str(model),
                _range(_sum(seconds), 3600),
                f"{chain / 3600:.2g}",
                f"{_range(most, 1e9)} (`{most['stage']}`)",
                _range(_sum(stored), 1e9),
                f"{sum(floors[0]) / 3600:.2g} h (`ablate`), {max(floors[1], default=0) / 1e9:.2g} GB, "
                f"{sum(floors[2]) / 1e9:.2g} GB stored",
            ]
        )
    return _table(head, body)


def longest(seconds: Mapping[str, float], layers: int) -> float:
    """Return the time of a run and its study with as many jobs as can be: the longest chain of stages.

    Args:
        seconds: of each stage.
        layers: of the model, which `project` can share among as many jobs.
    """
    ended: dict[str, float] = {}
    for stage, declared in graph.STAGES.items():
        if stage in seconds:
            before = {*graph.upstream_of(declared), *(graph.OF_A_RUN if graph.EVERY in declared.reads else ())}
            own = seconds[stage] / (min(layers, JOBS) if stage == "project" else 1)
            ended[stage] = own + max((ended[name] for name in before if name in ended), default=0.0)
    return max(ended.values())


def ordered(stages: Iterable[str]) -> list[str]:
    """Return stages in the order in which they run."""
    there = set(stages)
    return [stage for stage in graph.STAGES if stage in there]


def _law(fit: Row) -> str:
    return f"{fit['exponent']:.2f} ± {(fit['hi'] - fit['lo']) / 2:.2f}"


def _beside(row: Row, one: float) -> str:
    return f"{_range(row, one)}, **{row['measured'] / one:.2g}**"


def _range(ends: Row, one: float) -> str:
    value, low, high = (ends[name] / one for name in ("value", "lo", "hi"))
    return f"{value:.2g} [{low:.2g}, {high:.2g}]"


def _sum(rows: Sequence[Row]) -> Row:
    return {name: sum(row[name] for row in rows) for name in ("value", "lo", "hi")}


def _table(head: list[str], body: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *body))


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.documentation.scaling", description=__doc__)
    parser.add_argument("folder", type=Path, help="where snakemake scaling wrote its tables")
    folder = parser.parse_args(arguments).folder
    files = [folder / f"{table.name}.parquet" for table in (SCALING, SCALING_FITS, SCALING_FORETOLD)]
    if lacking := [file for file in files if not file.is_file()]:
        parser.error(f"{lacking[0]}: no such file; make it by snakemake scaling")
    measured, fits, foretold = map(pd.read_parquet, files)
    print(exponents(measured, fits), held_out(foretold), larger(foretold), sep="\n", end="")


if __name__ == "__main__":
    main()
