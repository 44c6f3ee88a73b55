import json
import os

import pandas as pd
import pytest

from pipeline.plumbing import audit as audit_module
from pipeline.plumbing import intact
from pipeline.plumbing.artefacts import Paths, record, recorded, write
from pipeline.plumbing.audit import audit
from pipeline.plumbing.plan import Job, Plan, Run, dumps
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.tables.train import TRAINING_CURVE

OWN = "own.txt"
TRAIN = f"results/store/train/{'a' * 12}"
FIGURES = "results/studies/mine/figures"


def spec_of(job, **settings):
    return dumps({"settings": settings, "code": "c", "versions": {}, "job": job})


def put(folder, spec, made_from="{}"):
    """What a training job leaves."""
    names = ("config.json", "model.safetensors", "tokenizer.json", "checkpoints.safetensors")
    outputs = Paths([folder / name for name in (*names, "training_curve.parquet")], spec, made_from)
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
    (tmp_path / OWN).write_text("text")
    put(tmp_path / TRAIN, job.spec, intact.made_from([tmp_path / OWN]))
    for folder, names in (("", OF_A_STUDY), ("base", OF_AN_EXPERIMENT)):
        figures = [tmp_path / FIGURES / folder / f"{name}{kind}" for name in names for kind in intact.FIGURES]
        for figure in figures:
            figure.parent.mkdir(parents=True, exist_ok=True)
            figure.write_bytes(b"drawn" * 9)
        record(figures, Paths(figures, render.spec, intact.made_from([tmp_path / TRAIN / "training_curve.parquet"])))
    (tmp_path / "results/studies/mine/request.json").write_text(json.dumps({"request": "study=smoke name=mine"}))
    return tmp_path


@pytest.fixture(autouse=True)
def _render_reads_the_curve(monkeypatch):
    reads = {"train": [OWN], "render": [f"{TRAIN}/training_curve.parquet"]}
    monkeypatch.setattr(Plan, "reads", lambda plan, job: reads[job.stage])


def test_of_what_is_as_it_should_be_nothing_is_said(made):
    assert list(audit(made)) == []


def empty(path):
    path.write_bytes(b"")


def flip(path):
    path.write_bytes(path.read_bytes()[:-9] + b"#" + path.read_bytes()[-8:])


def remake(path):
    put(path.parent, spec_of(TRAIN, steps=3))


def remake_of_other_text(path):
    put(path.parent, spec_of(TRAIN), json.dumps({"own files": "0" * 64}))


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
        (f"{TRAIN}/training_curve.parquet", remake_of_other_text, "stale"),
        (f"{TRAIN}/tokenizer.json", remake_of_other_text, "stale"),
        (f"{TRAIN}/training_curve.parquet", of_another, "altered"),
        (FIGURE, empty, "altered"),
        (FIGURE, os.unlink, "missing"),
        (FIGURE, flip, "altered"),
    ],
)
def test_what_is_wrong_is_found_with_the_command_that_mends_it(made, name, spoil, kind):
    spoil(made / name)
    subject = name.removesuffix(intact.RECORD)
    (found,) = (finding for finding in audit(made) if finding.file == subject)
    assert (found.kind, found.mend) == (kind, f"snakemake --forcerun {subject} --config study=smoke name=mine")


def test_all_that_was_made_from_another_file_than_lies_there_is_stale(made):
    (made / OWN).write_text("another text")
    found = list(audit(made))
    assert {finding.file.rpartition("/")[0] for finding in found} == {TRAIN}  # figures are of the curve that lies there
    assert {finding.why for finding in found} == {"made from other files than lie there now (own files)"}
    put(made / TRAIN, spec_of(TRAIN), intact.made_from([made / OWN]))
    found = list(audit(made))
    assert {finding.file.rpartition("/")[0] for finding in found} == {FIGURES, f"{FIGURES}/base"}
    assert {finding.why for finding in found} == {"made from other files than lie there now (train)"}


def test_time_alone_makes_nothing_stale(made):
    for path in made.rglob("*.parquet"):
        os.utime(path)
    (made / OWN).touch()
    assert list(audit(made)) == []


def test_a_job_of_no_plan_is_an_orphan(made):
    put(made / "results/store/train" / ("c" * 12), spec_of("x"))
    (found,) = audit(made)
    assert (found.kind, found.mend) == ("orphaned", f"rm -r results/store/train/{'c' * 12}")


def test_findings_are_printed_and_fail_the_command(made, capsys):
    assert (audit_module.main([str(made)]), capsys.readouterr().out) == (0, "0 findings in 1 studies: mine\n")
    empty(made / FIGURE)
    assert audit_module.main([str(made)]) == 1
    assert f"altered {FIGURE}: damaged, it is not what was written\n    snakemake --forcerun" in capsys.readouterr().out


def test_a_plan_that_cannot_be_read_is_one_line(made, capsys):
    (plan,) = made.glob("results/store/frozen/*/plans/*")
    empty(plan)
    assert audit_module.main([str(made)]) == 1
    assert capsys.readouterr().err.startswith(f"audit: {plan}: cannot be read as a plan")


def test_beside_a_damaged_study_nothing_is_called_orphaned(made):
    put(made / "results/store/train" / ("c" * 12), spec_of("x"))
    empty(made / "results/studies/mine/request.json")
    assert list(audit(made)) == []  # of this plan, which has no summarise


def test_a_study_of_which_no_plan_is_kept_is_said_to_be_so(made):
    (plan,) = made.glob("results/store/frozen/*/plans/*")
    plan.unlink()
    (found,) = audit(made)  # of its jobs, nobody knows
    assert (found.kind, found.file) == ("unplanned", "results/studies/mine")
    assert found.mend == "snakemake -n --config study=smoke name=mine"


def test_what_does_not_say_what_it_was_made_from_is_stale(made):
    put(made / TRAIN, spec_of(TRAIN))
    assert {finding.why for finding in audit(made) if finding.file.startswith(TRAIN)} == {
        "does not say what it was made from, for older code made it"
    }


def test_a_folder_without_results_is_no_folder_without_findings(tmp_path, capsys):
    assert audit_module.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"audit: {tmp_path}: holds no folder results; name the one that does")
