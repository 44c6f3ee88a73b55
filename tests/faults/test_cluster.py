"""The workflow on Slurm, cancelled, failing and killed; needs a Slurm that runs here: -m cluster."""

import re
import shutil
import subprocess
import time

import pandas as pd
import pytest
from tiny_study import contents, started, with_tiny_studies

ASKED = ["--workflow-profile", "profiles/slurm", "--cores", "2", "--slurm-no-account"]
# As often as this, and without accounting.
ASKED += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
ASKED += ["--seconds-between-status-checks", "2"]
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def slurm():
    """Fail where there is no Slurm."""
    if shutil.which("sinfo") is None or subprocess.run(["sinfo", "-h"], capture_output=True, check=False).returncode:
        pytest.fail("sinfo: no Slurm answers; start slurmctld and slurmd here, or leave -m cluster out", pytrace=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the code, in which one test goes on from what another has made."""
    return with_tiny_studies(tmp_path_factory.mktemp("cluster"))


def ended(folder, *arguments, config=()):
    """Run Snakemake on the cluster to its end; return its exit status and its words."""
    return started(folder, *ASKED, *arguments, config=config).wait(), (folder / "said").read_text()


def jobs(folder):
    """What Slurm knows of the jobs of a folder, by their numbers."""
    shown = subprocess.run(["scontrol", "show", "jobs", "-o"], capture_output=True, text=True, check=True).stdout
    found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines() if f"WorkDir={folder} " in line]
    return {job["JobId"]: job for job in found}


def await_rule(folder, running, rule):
    """Wait until Slurm runs a job of a rule, and its stage is at work; return the job's number."""
    while True:
        assert running.poll() is None, (folder / "said").read_text()
        for number, job in jobs(folder).items():
            if job["JobState"] == "RUNNING" and f"rule_{rule}" in job["Comment"]:
                return number
        time.sleep(0.2)


def test_what_fails_there_is_told_here_and_goes_on_at_the_next_call(folder):
    status, said = ended(folder, "--retries", "0", "--until", "train", "--set-resources", "train:mem_mb=10000000")
    assert status == 1
    assert "Requested node configuration is not available" in said
    (tokens,) = folder.glob("results/store/prepare/*/tokens.parquet")
    whole = tokens.read_bytes()
    tokens.write_bytes(whole.replace(whole[1000:1010], bytes(10)))
    status, said = ended(folder, "--retries", "0", "--until", "train")
    assert status == 1
    assert re.search(r"train: results/store/prepare/\w+/tokens.parquet: damaged, it is not what was written", said), (
        said
    )
    tokens.write_bytes(whole)


def test_one_that_was_killed_leaves_a_job_that_the_next_call_waits_for(folder, expected):
    first = started(folder, *ASKED, "--until", "train")
    left = await_rule(folder, first, "train")
    first.kill()
    first.wait()
    status, said = ended(folder, "--until", "train")
    assert status == 0, said
    assert jobs(folder)[left]["JobState"] == "COMPLETED"
    trained = {name: digest for name, digest in expected.items() if "/store/train/" in name}
    assert {name: digest for name, digest in contents(folder).items() if "/store/train/" in name} == trained


def test_what_is_cancelled_is_told_and_made_again_to_the_same_bytes(folder, expected):
    running = started(folder, *ASKED)
    cancelled = await_rule(folder, running, "score")
    subprocess.run(["scancel", cancelled], check=True)
    assert running.wait() == 0, (folder / "said").read_text()
    assert f"SLURM-job '{cancelled}' failed, SLURM status is: 'CANCELLED'" in (folder / "said").read_text()
    found = {name: digest for name, digest in contents(folder).items() if "/plans/" not in name}
    assert found == {name: digest for name, digest in expected.items() if "/plans/" not in name}
    asked = [
        (job["Comment"].split("_wildcards")[0], job["NumCPUs"], job["MinMemoryNode"], job["TimeLimit"])
        for job in jobs(folder).values()
    ]
    assert ("rule_train", "1", "4000M", "04:00:00") in asked
    assert [memory for rule, _, memory, _ in asked if rule == "rule_score"] == ["2000M", "4000M"]
    together = [rule for rule, *_ in asked if rule.startswith(("rule_gates", "rule_study"))]
    assert together == ["rule_gates_extract_overlap_verify", "rule_study_align_atlas_judge_manifest_render_..."]


def test_layers_spread_over_jobs_are_read_as_in_one(folder):
    (alone,) = folder.glob("results/store/project/*/vocab_pairs.parquet")
    status, said = ended(folder, "--until", "project", config=["name=spread", "overrides=project.parts=2"])
    assert status == 0, said
    (together,) = set(folder.glob("results/store/project/*/vocab_pairs.parquet")) - {alone}
    assert pd.read_parquet(together).equals(pd.read_parquet(alone))
    assert len([job for job in jobs(folder).values() if "rule_project_part" in job["Comment"]]) == 2


def test_one_job_gets_one_gpu(folder):
    """The cluster of a test has one by name alone, so that torch finds none there."""
    status, said = ended(
        folder, "--retries", "0", "--until", "train", config=["name=gpu", "overrides=train.device=cuda"]
    )
    assert status == 1
    assert "train.device=cuda, but torch finds no CUDA device; set train.device=auto" in said
    assert [job["TresPerJob"] for job in jobs(folder).values() if "TresPerJob" in job] == ["gres:gpu:1"]
