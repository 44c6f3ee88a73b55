"""Whether a study says what a published one says, table by table and verdict by verdict.

`python -m pipeline.documentation.reproduction results/studies/paper --against OTHER`: OTHER is the folder of another
study, or of what is published of one: its manifest (a digest of the values of every file), claims and runs. Ends with 0
where all verdicts agree, with 1 where one differs. `--write OTHER` publishes: it puts these three tables there.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pipeline.documentation.difference import compared
from pipeline.documentation.findings import verdicts
from pipeline.plumbing import graph
from pipeline.plumbing.artefacts import Paths, nullable_integers, provenance_of, write
from pipeline.plumbing.content import content_of, rows_of
from pipeline.tables.judge.claims import CLAIMS
from pipeline.tables.manifest import MANIFEST
from pipeline.tables.registry import OF_A_RUN, TABLES
from pipeline.tables.summarise import RUNS

PUBLISHED = tuple(f"{table.name}.parquet" for table in (MANIFEST, CLAIMS, RUNS))
RUN = ["experiment", "seed"]
# They say how the study was made: compared as settings, not as results.
OF_THE_MAKING = ("runs.parquet", "manifest.parquet", "request.json")


def table_in(folder: Path, name: str) -> pd.DataFrame:
    """Read a study's table as it is, also one that older code made.

    Raises:
        ValueError: it is missing or damaged.
    """
    provenance_of(folder / name)
    # Integers that may be null stay integers, which are equal or not.
    return pq.read_table(folder / name).to_pandas(types_mapper=nullable_integers)


def manifest_of(folder: Path) -> pd.DataFrame:
    """Return a study's manifest; of one that older code made, before there were any, as it would be of what is there.

    Raises:
        ValueError: a file is damaged, or the study holds no runs.
    """
    if (folder / PUBLISHED[0]).exists():
        return table_in(folder, PUBLISHED[0])
    runs = table_in(folder, "runs.parquet")
    ids: dict[tuple[str, int], dict[str, str]] = {}
    for row in runs.to_dict("records"):
        ids.setdefault((row["experiment"], row["seed"]), {})[row["stage"]] = row["id"]
    store = folder.parents[1] / "store"
    jobs = dict.fromkeys(job for stages in ids.values() for job in stages.items())
    places = (store / stage / job / name for stage, job in jobs for name in graph.writes_of(stage))
    files = [file for file in places if file.exists()]  # older code wrote fewer
    of_the_study = {name for stage in graph.OF_A_STUDY for name in graph.writes_of(stage)}
    files += sorted(file for file in folder.iterdir() if file.name in of_the_study)
    return pd.DataFrame(rows_of(files, [(*run, stages) for run, stages in ids.items()]), columns=MANIFEST.names)


def publish(folder: Path, place: Path) -> None:
    """Put what a reproduction is held against into a folder, small enough for a repository."""
    spec = json.dumps(provenance_of(folder / "claims.parquet"))
    write(MANIFEST, manifest_of(folder).astype({"seed": "Int64"}), Paths([place / PUBLISHED[0]], spec))
    for name in PUBLISHED[1:]:
        provenance_of(folder / name)
        (place / name).write_bytes((folder / name).read_bytes())


def report(mine: Path, theirs: Path, tolerance: float) -> Iterator[str]:
    """Yield lines that say what of two studies is equal, from what made them to what they conclude.

    Args:
        mine: a study's folder.
        theirs: another's, or what was published of it.
        tolerance: up to which floats count as close: absolute, above 1 relative.
    """
    ours, others = manifest_of(mine), manifest_of(theirs)
    yield from _settings(mine, theirs)
    yield from _versions(ours, others)
    yield from _of_runs(ours, others)
    tables = list(_of_tables(mine, theirs, others, tolerance))
    counts = Counter(state for _, state, _ in tables)
    yield f"tables of the study: {', '.join(f'{count} {state}' for state, count in counts.items())}"
    for name, state, told in tables:
        if told:
            yield f"  {state} {name.removesuffix('.parquet')}: {told}"
    for state, why in (
        ("different", "by how much is not known, for only digests are there"),
        ("unknown", "for only digests are there, and of tables that hold other experiments too; see runs"),
    ):
        if names := [name.removesuffix(".parquet") for name, its, told in tables if its == state and not told]:
            yield f"  {state}, {why}: {', '.join(names)}"


def _shared(ours: pd.DataFrame, others: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Return the rows of runs that two tables have in common."""
    return ours.dropna(subset="seed").merge(others.dropna(subset="seed"), on=on, suffixes=("", "_other"))


def _settings(mine: Path, theirs: Path) -> Iterator[str]:
    if not (theirs / "runs.parquet").exists():
        return
    runs = _shared(table_in(mine, "runs.parquet"), table_in(theirs, "runs.parquet"), [*RUN, "stage"])
    apart: Counter[str] = Counter()
    for row in runs[runs["settings"] != runs["settings_other"]].to_dict("records"):
        here, there = (_flat(json.loads(row[name]), row["stage"]) for name in ("settings", "settings_other"))
        keys = sorted(here.keys() | there.keys())
        apart.update(
            f"{key}={here.get(key)}, there {there.get(key)}" for key in keys if here.get(key) != there.get(key)
        )
    for told, count in apart.items():
        yield f"setting {told} (in {count} runs)"


def _flat(settings: dict, prefix: str) -> dict[str, object]:
    """Return nested settings by dotted keys."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}.{key}") if isinstance(value, dict) else {f"{prefix}.{key}": value}
    return flat


def _versions(ours: pd.DataFrame, others: pd.DataFrame) -> Iterator[str]:
    here, there = (
        {k: v for text in table["versions"].dropna().unique() for k, v in json.loads(text).items()}
        for table in (ours, others)
    )
    for package in sorted(here.keys() & there.keys()):
        if here[package] != there[package]:
            yield f"version {package} {here[package]}, there {there[package]}"


def _of_runs(ours: pd.DataFrame, others: pd.DataFrame) -> Iterator[str]:
    """Say which stages of the runs of both made the same; the first that did not is where they part."""
    both = _shared(ours, others, [*RUN, "stage", "file"])
    common, here, there = (len(table[RUN].dropna().drop_duplicates()) for table in (both, ours, others))
    yield f"runs: {common} in common, of {here} here and {there} there"
    apart = both[both["digest"] != both["digest_other"]]
    stages = [stage for stage in graph.OF_A_RUN if stage in set(both["stage"])]
    if equal := [stage for stage in stages if stage not in set(apart["stage"])]:
        yield f"  equal in all of them: {', '.join(equal)}"
    for stage, rows in ((stage, apart[apart["stage"] == stage]) for stage in stages if stage not in equal):
        yield f"  different in {len(rows[RUN].drop_duplicates())}: {stage} ({', '.join(sorted(set(rows['file'])))})"


def _of_tables(mine: Path, theirs: Path, others: pd.DataFrame, tolerance: float) -> Iterator[tuple[str, str, str]]:
    """Yield each table of either study, whether it is equal, close, different, missing or unknown, and how."""
    published = dict(others[others["seed"].isna()][["file", "digest"]].itertuples(index=False))
    here, there = ({file.name for file in folder.glob("*.parquet")} for folder in (mine, theirs))
    ours, those = (set(table_in(folder, "claims.parquet")["experiment"]) for folder in (mine, theirs))
    for name in sorted((here | there | published.keys()) - set(OF_THE_MAKING)):
        if name not in here or name not in there | published.keys():
            yield name, "missing", "only there" if name not in here else "only here"
        elif content_of(mine / name) == (content_of(theirs / name) if name in there else published[name]):
            yield name, "equal", ""
        elif name in there:
            rows = (table_in(folder, name) for folder in (mine, theirs))
            a, b = (frame[frame["experiment"].isin(ours & those)] if "experiment" in frame else frame for frame in rows)
            yield name, *compared(a, b, key_of(name, a), tolerance)
        else:
            yield name, "different" if ours == those else "unknown", ""


def key_of(name: str, frame: pd.DataFrame) -> list[str]:
    """Return the columns that tell the rows of a table apart."""
    stem = name.removesuffix(".parquet")
    if stem not in TABLES:  # of older code
        return [str(column) for column in frame if frame[column].dtype.kind != "f"]
    of_a_run = {table.name: table.with_run() for tables in OF_A_RUN.values() for table in tables}
    return [column for column in of_a_run.get(stem, TABLES[stem]).key if column in frame]


def _study(path: Path) -> Path:
    """Return a study's folder, or that of what is published of one, whose manifest may be named instead."""
    folder = path.parent if path.is_file() else path
    if not (folder / "claims.parquet").exists():
        raise ValueError(f"{folder}: no study, for it has no claims.parquet; name a folder of results/studies")
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison, or publish; return 0 where all verdicts agree, 1 where one differs, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.documentation.reproduction", description=__doc__)
    parser.add_argument("folder", type=Path, help="of a study: results/studies/<name>")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--against", type=Path, metavar="OTHER", help="another study's folder, or a published manifest's")
    what.add_argument("--write", type=Path, metavar="OTHER", help="folder to publish manifest, claims and runs in")
    parser.add_argument(
        "--tolerance", type=float, default=1e-6, help="up to which numbers are close; above 1, relative (default: 1e-6)"
    )
    given = parser.parse_args(arguments)
    try:
        mine = _study(given.folder)
        if given.write:
            publish(mine, given.write)
            print(f"wrote {', '.join(str(given.write / name) for name in PUBLISHED)}")
            return 0
        theirs = _study(given.against)
        for line in report(mine, theirs, given.tolerance):
            print(line)
        told, agree = verdicts(table_in(mine, "claims.parquet"), table_in(theirs, "claims.parquet"))
    except (OSError, ValueError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    print(told, end="")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
