"""What a changed setting or a changed line of code makes run again, and what wrong settings say."""

import json

import pytest

from pipeline.plumbing import fingerprint, graph
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.plan import Plan
from pipeline.plumbing.planner import plan, plan_of
from pipeline.plumbing.request import Request

# What the study known_answers makes in one job is that study's alone; scaling reaches all other stages' code.
EVERY_STAGE = {*graph.STAGES} - {"known_answers", "scaling"}
GATHERED = {"summarise", "manifest", "timing"}  # whose settings name every job of every run
OF_SEQUENCES = {"verify", "decompose", "score", "ablate", "cover", "score_checkpoints"}


def smoke(*overrides):
    request = Request.of_study("smoke")
    return plan_of(Request(request.study, (*request.overrides, *overrides), request.experiments, request.text))


def rerun(before: Plan, after: Plan) -> set[str]:
    """Stages with a job that is new, or whose spec is."""
    changed = {key[0] for key, job in after.jobs.items() if key not in before.jobs or before.jobs[key].spec != job.spec}
    changed |= {stage for stage, job in after.study_jobs.items() if before.study_jobs[stage].spec != job.spec}
    return changed - {"known_answers", "scaling"}


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("render.dpi=72", {"render"}),
        ("judge.thresholds.induction=0.4", {"judge"}),
        ("verify.tolerance.terms=1e-3", {"verify"} | GATHERED),
        ("score.top_tokens=3", {"score", "ablate", "cover"} | GATHERED),
        ("decompose.map_tokens=8", {"decompose"} | GATHERED),
        ("project.pairs=5", {"project"} | GATHERED),
        ("overlap.tokens=5", {"overlap"} | GATHERED),
        ("align.seed=5", {"align"}),
        ("probe.periods=[5]", {"probe", "overlap"} | GATHERED | OF_SEQUENCES),
        (
            "train.learning_rate=0.1",
            {"train", "extract", "project", "overlap", "challenge", "align"} | GATHERED | OF_SEQUENCES,
        ),
        ("benchmark.repeats=3", {"benchmark"}),
        ("tokenizer.d_vocab=300", EVERY_STAGE - {"judge", "render", "atlas", "benchmark"}),
    ],
)
def test_a_changed_setting_reruns_its_stage_and_those_made_from_it(override, stages):
    # render has no setting of its own that changed; it runs again when the study's tables are new.
    assert rerun(smoke(), smoke(override)) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("pipeline.circuits.scores.copying", {"verify", "score", "score_checkpoints", "challenge", "atlas"}),
        ("pipeline.circuits.vocabulary.top_pairs", {"project", "benchmark"}),
        ("pipeline.atlas_page.page", {"atlas"}),
        ("pipeline.circuits.vocabulary.alignment", {"align"}),
        ("pipeline.figures.style", {"render", "timing", "benchmark"}),
        ("pipeline.models.training", {"train", "benchmark"}),
        ("pipeline.claims.catalogue", {"judge", "render"}),
        ("pipeline.claims.verdicts", {"judge"}),
        ("pipeline.plumbing.artefacts", EVERY_STAGE),
        ("pipeline.plumbing.compose", set()),
    ],
)
def test_a_changed_line_reruns_the_stages_that_reach_it(module, stages, monkeypatch):
    before, code = smoke(), fingerprint._code
    monkeypatch.setattr(fingerprint, "_code", lambda name: code(name) + ("x = 1\n" if name == module else ""))
    fingerprint.code_of.cache_clear()
    assert rerun(before, smoke()) == stages
    fingerprint.code_of.cache_clear()


def test_what_experiments_share_is_made_once():
    planned = smoke()
    assert planned.experiments == ["base", "one_layer"]
    assert len(planned.ids("prepare")) == len(planned.ids("probe")) == 1
    assert len(planned.ids("train")) == len(planned.runs) == 3


def test_a_run_is_named_by_its_slices_alone():
    assert {key: job.spec for key, job in smoke().jobs.items()} == {key: job.spec for key, job in smoke().jobs.items()}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("train.learnin_rate=0.1", r"train\.learnin_rate=0\.1: no such setting; did you mean train\.learning_rate\?"),
        ("learning_rate=0.1", r"did you mean train\.learning_rate\?"),
        ("train.learning_rate=fast", r"train\.learning_rate=fast: .*number.*0\.004"),
        ("train.steps=0", r"train\.steps=0: .*greater than or equal to 1"),
        ("model.n_heads=7", r"model\.n_heads=7 does not divide model\.d_model=256; the nearest that does is 8"),
        ("model=two_lair", r"model=two_lair: no such choice; did you mean two_layer\?"),
        (
            "model=notebook_checkpoint model.path=nowhere.pt tokenizer=none data=repeated_tokens",
            r"nowhere\.pt: no such file",
        ),
        ("data.packages=[numpyy]", r"numpyy"),
        ("render.dpi=10", r"render\.dpi=10: .*30"),
        (
            "verify.tolerance.logits=1e99",
            r"verify\.tolerance\.logits=1e\+99: input should be less than or equal to 0\.01",
        ),
        ("verify.tolerance.gauge=inf", r"verify\.tolerance\.gauge=inf: input should be a finite number"),
        ("known_answers.tolerance=inf", r"known_answers\.tolerance=inf: input should be a finite number"),
        (
            "project.parts=8 project.part=3",
            r"project\.part=3: a part would pass for the whole; set project\.parts alone",
        ),
        ("seed=1", r"seed=1: set the seeds of runs by --config seeds=0,1,2 instead"),
        ("seed=1,2,3", r"seed=1: set the seeds of runs by --config seeds=0,1,2 instead"),
        ("train.seed=5", r"mine: seeds 0 and 1 are one and the same model; train\.seed=5 sets what seeds are to vary"),
    ],
)
def test_a_wrong_setting_is_one_line(overrides, message):
    with pytest.raises(ConfigError, match=message) as error:
        plan({"name": "mine", "overrides": overrides})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("seeds", "message"), [("0,0", "base: seeds 0 and 0 .*each seed once"), ("0,1", "no seeds")])
def test_one_model_is_one_seed(seeds, message, tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    model = f"model=notebook_checkpoint model.path={tmp_path / 'model.pt'} tokenizer=none data=repeated_tokens"
    with pytest.raises(ConfigError, match=message):
        plan({"name": "mine", "overrides": model, "seeds": seeds})
    assert len(plan({"name": "mine", "overrides": model, "seeds": "0"}).runs) == 2  # and its base


def test_experiments_may_share_a_model():
    planned = plan({"study": "smoke", "name": "mine", "overrides": "score.top_tokens=3", "seeds": "0"})
    assert len(planned.ids("train")) == 1
    assert len(planned.runs) == 2


def test_what_a_study_sets_within_a_choice_does_not_concern_another_choice():
    request = Request.of_study("smoke").ablated("mine", "data=repeated_tokens tokenizer=none tokenizer.d_vocab=99", "0")
    planned = plan_of(request)
    settings = json.loads(planned.jobs["prepare", planned.runs[1].ids["prepare"]].spec)["settings"]
    assert settings["tokenizer"] == {"kind": "none", "d_vocab": 99}
    assert "packages" not in settings["data"]


def test_how_a_model_was_verified_does_not_make_another_job_of_what_is_said_of_it():
    before, after = smoke(), smoke("verify.sentences=3")
    assert before.ids("verify") != after.ids("verify")
    assert before.ids("score") == after.ids("score")
    job = after.jobs["score", after.ids("score")[0]]
    assert job.made_from["verify"] == after.ids("verify")[0]


def test_a_study_of_a_checkpoint_that_is_not_in_the_cache_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"^model=gpt2-medium: no such folder, .*: hf download gpt2-medium$"):
        plan({"study": "gpt2_medium"})
