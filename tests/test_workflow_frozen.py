"""What is edited while a study is under way reaches none of its jobs: a minute, so run with -m slow."""

import json
import re
import subprocess
import time

import pyarrow.parquet as pq
import pytest
from tiny_study import ROOT, SNAKEMAKE, copied, snakemake

# Where jobs are started by a Snakemake of their own, as on a cluster, which reads all rules anew; and from another
# folder, as a part of another workflow.
ELSEWHERE = """
with open("parsed", "a") as file:
    file.write(".")

module headscope:
    snakefile: "../Snakefile"
    config: {"study": "smoke"}

use rule * from headscope

use rule probe from headscope as probe with:
    shadow: "shallow"

use rule extract from headscope as extract with:
    shadow: "shallow"
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    """A copy of the repository."""
    return copied(tmp_path)


def test_another_workflow_can_use_this_one(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/Snakefile").write_text(ELSEWHERE)
    planned = snakemake(folder / "elsewhere", "-n", "--cores", "1")
    assert planned.returncode == 0, planned.stderr
    assert "render_study" in planned.stdout


def test_it_can_be_used_under_a_prefix(folder):
    (folder / "elsewhere").mkdir()
    prefixed = ELSEWHERE.partition("use rule")[0] + '    prefix: "heads"\n\nuse rule * from headscope as heads_*\n'
    (folder / "elsewhere/Snakefile").write_text(prefixed.replace('"smoke"}\n\n', '"smoke"}\n'))
    made = snakemake(folder / "elsewhere", "--cores", "1", "--until", "heads_probe")
    assert made.returncode == 0, made.stderr
    assert list(folder.glob("elsewhere/heads/results/store/probe/*/sequences.parquet"))


def test_its_rules_can_be_read_from_a_repository(tmp_path):
    commands = ("init -q", "add Snakefile", "-c user.name=a -c user.email=a@b.c commit -qm a")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/Snakefile").write_text((ROOT / "Snakefile").read_text())
    for command in commands:
        subprocess.run(["git", *command.split()], cwd=tmp_path / "repository", check=True)
    address = f'gitfile("{tmp_path}/repository", path="Snakefile", ref="HEAD")'
    (tmp_path / "Snakefile").write_text(ELSEWHERE.replace('"../Snakefile"', address).partition("use rule probe")[0])
    planned = snakemake(tmp_path, "-n", "--cores", "1")
    assert planned.returncode == 0, planned.stderr
    assert "render_study" in planned.stdout


@pytest.mark.parametrize("place", [".", "elsewhere"])
def test_an_edit_waits_for_the_next_call(folder, place):
    where = folder / place
    asked = ["--cores", "1", "--until", "extract", "--config", "study=smoke"]
    if place != ".":
        where.mkdir()
        (where / "Snakefile").write_text(ELSEWHERE)
        asked = asked[:-2]
    running = subprocess.Popen(
        [SNAKEMAKE, *asked], cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not list(where.glob("results/store/prepare/*/*.log")):
        assert running.poll() is None, running.stdout.read()
        time.sleep(0.05)
    edited = {
        "pipeline/extract.py": "\nraise RuntimeError('edited')\n",
        "pipeline/models/training.py": "\nraise RuntimeError('edited')\n",
        "conf/train/default.yaml": "steps: 7\n",
    }
    broken = ("pipeline/plumbing/plan.py", "workflow/rules/run.smk")
    before = {name: (folder / name).read_text() for name in [*edited, *broken]}
    for name, text in edited.items():
        (folder / name).write_text(before[name].replace("steps: 2000", "") + text)
    # A dry run sees the edits, and disturbs nothing.
    assert "train" in snakemake(where, "-n", "--nolock", *asked).stdout
    for name in broken:
        (folder / name).write_text("raise RuntimeError('edited'")  # not even code
    output = running.communicate()[0]
    assert running.returncode == 0, output
    for name, text in before.items():
        (folder / name).write_text(text)
    assert re.search("^total +0$", snakemake(where, "-n", *asked).stdout, re.MULTILINE)
    if place != ".":
        assert len((where / "parsed").read_text()) > 3  # by each call above, and by jobs
    (weights, *_) = where.glob("results/store/extract/*/weights.parquet")
    planned = [
        json.loads(job["spec"])["code"]
        for file in where.glob("results/store/frozen/*/plans/*.json")
        for job in json.loads(file.read_text())["jobs"]
        if job["id"] == weights.parent.name
    ]
    assert json.loads(pq.read_schema(weights).metadata[b"spec"])["code"] in planned
