import json
import os

import pandas as pd
import pytest

from pipeline.plumbing import audit as audit_module
from pipeline.plumbing import intact
from pipeline.plumbing.artefacts import Paths, recorded, write
from pipeline.plumbing.audit import audit
from pipeline.plumbing.plan import Job, Plan, Run, dumps
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.tables.train import TRAINING_CURVE

TRAIN = f"results/store/train/{'a' * 12}"
FIGURES = "results/studies/mine/figures"


def spec_of(job, **settings):
    return dumps({"settings": settings, "code": "c", "versions": {}, "job": job})


def put(folder, spec):
    """What a training job leaves."""
    names = ("config.json", "model.safetensors", "tokenizer.json", "checkpoints.safetensors")
    outputs = Paths([folder / name for name in (*names, "training_curve.parquet")], spec)
    for name in names:
        with recorded(outputs, name) as temporary:
            temporary.write_text(name)
    write(TRAINING_CURVE, pd.DataFrame(columns=TRAINING_CURVE.names), outputs)


@pytest.fixture
def made(tmp_path):
    """A study of one training job and its figures, as they should be."""
    job = Job("train", "a" * 12, spec_of(TRAIN), {}, (), 1)
    render = Job("render", "", spec_of("results/studies/mine"), {}, (), 1)
    ids = {"train": job.id}
    plan = Plan("mine", [Run("base", 0, ids)], {("train", job.id): job}, {"render": render})
    kept = tmp_path / "results/store/frozen/0123456789ab/plans/p.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(plan.to_json())
    put(tmp_path / TRAIN, job.spec)
    for name in (*OF_A_STUDY, *(f"base/{name}" for name in OF_AN_EXPERIMENT)):
        for kind, end in audit_module.ENDS.items():
            figure = tmp_path / FIGURES / f"{name}{kind}"
            figure.parent.mkdir(parents=True, exist_ok=True)
            figure.write_bytes(b"drawn" + end)
    (tmp_path / "results/studies/mine/request.json").write_text(json.dumps({"request": "study=smoke name=mine"}))
    return tmp_path


@pytest.fixture(autouse=True)
def _render_reads_nothing(monkeypatch):
    monkeypatch.setattr(Plan, "reads", lambda plan, job: [f"{TRAIN}/config.json"] if job.stage == "render" else [])


def test_of_what_is_as_it_should_be_nothing_is_said(made):
    assert list(audit(made)) == []


def empty(path):
    path.write_bytes(b"")


def flip(path):
    path.write_bytes(path.read_bytes()[:-9] + b"#" + path.read_bytes()[-8:])


def remake(path):
    put(path.parent, spec_of(TRAIN, steps=3))


def of_another(path):
    path.unlink()
    put(path.parent, spec_of(TRAIN.replace("a" * 12, "b" * 12)))


FIGURE = f"{FIGURES}/{OF_A_STUDY[0]}.svg"


@pytest.mark.parametrize(
    ("name", "spoil", "kind"),
    [
        (f"{TRAIN}/tokenizer.json", empty, "altered"),
        (f"{TRAIN}/tokenizer.json{intact.RECORD}", empty, "altered"),
        (f"{TRAIN}/model.safetensors", flip, "altered"),
        (f"{TRAIN}/training_curve.parquet", flip, "altered"),
        (f"{TRAIN}/training_curve.parquet", os.unlink, "missing"),
        (f"{TRAIN}/training_curve.parquet", remake, "stale"),
        (f"{TRAIN}/training_curve.parquet", of_another, "altered"),
        (FIGURE, empty, "altered"),
        (FIGURE, os.unlink, "missing"),
        (FIGURE, lambda path: os.utime(path, (0, 0)), "stale"),
    ],
)
def test_what_is_wrong_is_found_with_the_command_that_mends_it(made, name, spoil, kind):
    spoil(made / name)
    subject = name.removesuffix(intact.RECORD)
    (found,) = (finding for finding in audit(made) if finding.file == subject)
    assert (found.kind, found.mend) == (kind, f"snakemake --forcerun {subject} --config study=smoke name=mine")


def test_a_job_of_no_plan_is_an_orphan(made):
    put(made / "results/store/train" / ("c" * 12), spec_of("x"))
    (found,) = audit(made)
    assert (found.kind, found.mend) == ("orphaned", f"rm -r results/store/train/{'c' * 12}")


def test_findings_are_printed_and_fail_the_command(made, capsys):
    assert (audit_module.main([str(made)]), capsys.readouterr().out) == (0, "0 findings\n")
    empty(made / FIGURE)
    assert audit_module.main([str(made)]) == 1
    assert f"altered {FIGURE}: the figure is not whole\n    snakemake --forcerun" in capsys.readouterr().out
