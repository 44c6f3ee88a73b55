"""What no study in a folder of results refers to: `python -m pipeline.plumbing.unused [FOLDER]`; --delete removes it.

A study refers to the jobs of its latest plan, finished or not, and to those that its table `runs` names.
"""

import argparse
import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.plumbing import freeze, graph
from pipeline.plumbing.artefacts import provenance_of
from pipeline.plumbing.plan import STORE, STUDIES, Plan

JOB = re.compile("[0-9a-f]{12}")  # also a copy of the code


@dataclass(frozen=True)
class Unused:
    """A file or folder that may go."""

    place: str  # below the folder that holds results/
    why: str
    size: int  # bytes


def holding_results(folder: Path) -> Path:
    """Return a folder that holds results/; ValueError if it holds none."""
    if not (folder / "results").is_dir():
        raise ValueError(f"{folder}: holds no folder results; name the one that does")
    return folder


def latest_plans(root: Path) -> dict[str, tuple[Path, Plan]]:
    """Return the plan that each study followed last, and its file, in a copy of the code that it ran.

    Raises:
        ValueError: a plan cannot be read.
    """
    plans = {}
    for file in sorted((root / freeze.STORE).glob("*/plans/*.json"), key=lambda file: file.stat().st_mtime):
        try:
            plan = Plan.from_json(file.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}: cannot be read as a plan ({error}); delete it") from error
        plans[plan.study] = (file, plan)
    return plans


def jobs_in_use(root: Path, plans: dict[str, tuple[Path, Plan]]) -> set[str]:
    """Return the folders of the jobs that studies refer to.

    Args:
        root: folder that holds results/.
        plans: of studies, begun or finished.

    Raises:
        ValueError: a study is there that does not say what it is made of.
    """
    used = {f"{STORE}/{stage}/{identity}" for _, plan in plans.values() for stage, identity in plan.jobs}
    for folder in sorted(
        path for path in (root / STUDIES).glob("*") if path.is_dir() and path.name not in graph.STAGES
    ):
        asked, runs = folder / "request.json", folder / "runs.parquet"
        try:
            if asked.exists():
                json.loads(asked.read_text(encoding="utf-8"))["request"]
            if runs.exists():
                provenance_of(runs)
                rows = pq.read_table(runs, columns=["stage", "id"]).to_pylist()
                used |= {f"{STORE}/{row['stage']}/{row['id']}" for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder} is damaged, so nobody knows what it refers to ({error})") from error
        if folder.name not in plans and not runs.exists():
            raise ValueError(
                f"{folder} says by no plan and no runs.parquet what it refers to; make it again or delete it"
            )
    return used


def unused(root: Path, forgotten: tuple[str, ...] = ()) -> list[Unused]:
    """Return what no study below `root` refers to: jobs, copies of the code, trials by hand, what killed jobs left.

    Args:
        root: folder that holds results/.
        forgotten: studies that were begun and have no results, whose jobs are to count as nobody's.

    Raises:
        ValueError: what a study refers to is not known.
    """
    plans = latest_plans(root)
    for study in forgotten:
        if study not in begun(root, plans):
            raise ValueError(f"{study}: no study that was begun and has no folder in {STUDIES}")
        del plans[study]
    used, copies = jobs_in_use(root, plans), {file.parents[1].name for file, _ in plans.values()}
    found = []
    for path in sorted((root / STORE).glob("*/*")):
        place, is_copy = path.relative_to(root).as_posix(), path.parent.name == "frozen"
        if is_copy and (path.name.startswith(".") or (JOB.fullmatch(path.name) and path.name not in copies)):
            found.append((path, "copy of code that no study ran last"))
        elif not is_copy and JOB.fullmatch(path.name) and place not in used:
            found.append((path, "job that no study refers to"))
    if (root / "results/scratch").exists():
        found.append((root / "results/scratch", "what stages run by hand wrote"))
    inside = {path for path, _ in found}
    strays = [path for pattern in (".*.tmp", "*.[0-9]*.tmp") for path in (root / "results").rglob(pattern)]
    found += [(path, "half-written file") for path in sorted(strays) if not inside & {*path.parents}]
    return [Unused(path.relative_to(root).as_posix(), why, size_of(path)) for path, why in found]


def begun(root: Path, plans: dict[str, tuple[Path, Plan]]) -> list[str]:
    """Return the studies that have a plan and no folder: begun and not finished, or deleted since."""
    return sorted(study for study in plans if not (root / STUDIES / study).exists())


def kept_for(root: Path, forgotten: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the bytes of jobs that only a study without results refers to, by study; raises as `unused` does."""
    plans = {study: plan for study, plan in latest_plans(root).items() if study not in forgotten}
    kept = {}
    for study in begun(root, plans):
        others = jobs_in_use(root, {other: plan for other, plan in plans.items() if other != study})
        own = [root / STORE / stage / identity for stage, identity in plans[study][1].jobs]
        kept[study] = sum(size_of(path) for path in own if path.relative_to(root).as_posix() not in others)
    return {study: size for study, size in kept.items() if size}


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; of a link, its own."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep studies from starting; ValueError where one is running."""
    if not (root / freeze.STORE).exists():
        yield
        return
    folder = os.open(root / freeze.STORE, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError("a study is running; wait for its end, then delete") from error
        except OSError as error:  # some network file systems
            raise ValueError(
                f"{root}: nobody knows here whether a study is running ({error}); delete by hand"
            ) from error
        yield
    finally:
        os.close(folder)


def delete(root: Path, forgotten: tuple[str, ...] = ()) -> list[Unused]:
    """Remove what is unused, and return it; raises as `unused` and `alone` do, with nothing removed."""
    with alone(root):
        found = unused(root, forgotten)
        for each in found:
            path = root / each.place
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return found


def told(size: float) -> str:
    """Return bytes in the unit that suits them."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def main(arguments: list[str] | None = None) -> int:
    """List what is unused, or remove it; return 0, or 1 where what a study refers to is not known."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.plumbing.unused", description=__doc__)
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="that holds results/ (default: here)")
    parser.add_argument("--delete", action="store_true", help="remove what is listed; refused while a study runs")
    parser.add_argument(
        "--forget", metavar="STUDY", action="append", default=[], help="count a study without results as deleted"
    )
    given = parser.parse_args(arguments)
    try:
        root, forgotten = holding_results(given.folder), tuple(given.forget)
        found, kept = (delete if given.delete else unused)(root, forgotten), kept_for(root, forgotten)
    except ValueError as error:
        print(f"gc: {error}; nothing was deleted", file=sys.stderr)
        return 1
    for each in sorted(found, key=lambda each: (each.why, -each.size)):
        print(f"{told(each.size):>10}  {each.place}: {each.why}")
    for study, size in kept.items():
        print(f"{told(size):>10}  kept, for study {study} was begun and has no results; --forget {study} gives that up")
    done = "deleted" if given.delete else "unused; --delete removes them"
    print(f"{told(sum(each.size for each in found))} in {len(found)} places {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
