"""The smallest study that goes through every stage, made in a copy of the repository, and what may differ of it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from pipeline.plumbing import graph

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
EVERY_STAGE = [stage for stage, declared in graph.STAGES.items() if declared.of != "apart"]
# What a job said and how long it took, and what Python compiled. All else is the same, to the byte.
DIFFERS = (".log", ".tsv", ".pyc", ".lock")


def copied(folder):
    """Copy the repository's code into a folder; return this."""
    for name in ("conf", "pipeline", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def with_tiny_studies(folder):
    """Copy the code, with the studies `tiny` and, of another seed, `other`: smoke's base alone."""
    copied(folder)
    overrides = yaml.safe_load((folder / "conf/study/smoke.yaml").read_text())["overrides"]
    for name, seed in (("tiny", 0), ("other", 1)):
        study = {"overrides": overrides, "experiments": {"base": [seed]}}
        (folder / f"conf/study/{name}.yaml").write_text(json.dumps(study))  # JSON is YAML
    return folder


def snakemake(folder, *arguments):
    """Run Snakemake to its end."""
    return subprocess.run([SNAKEMAKE, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def started(folder, *arguments, study="tiny", config=()):
    """Start Snakemake as a terminal would, with a group of its own; its words are in the file `said`."""
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [SNAKEMAKE, *arguments, "--config", f"study={study}", *config],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
        )


def at_work(folder):
    """Yield process id, parent's id and stage (None if it is none's Python) of what runs in this folder."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if (path / "cwd").resolve() == folder and words != [""]:  # a zombie has no words
                stage = words[3].removeprefix("pipeline.") if words[1:3] == ["-P", "-m"] else None
                yield int(path.name), int((path / "stat").read_text().rpartition(")")[2].split()[1]), stage
        except OSError:
            continue  # it ended meanwhile


def contents(folder, hidden=True):
    """Return the digest of every file of the results that must be the same, by name; hidden ones if these count."""
    found = {}
    for directory, _, names in os.walk(folder / "results"):
        for path in (Path(directory, name) for name in names if not name.endswith(DIFFERS)):
            name = path.relative_to(folder).as_posix()
            if hidden or "/." not in name:
                try:
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                except FileNotFoundError:
                    continue  # a job removed or replaced it just now
    return found
