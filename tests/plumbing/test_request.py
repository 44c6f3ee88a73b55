import json
import re
import shlex

import pytest

from pipeline.plumbing import graph, request
from pipeline.plumbing.compose import CONF
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.planner import plan
from pipeline.plumbing.request import READ_BY_THE_STUDY, Request


@pytest.fixture(autouse=True)
def _empty_results(tmp_path, monkeypatch):
    monkeypatch.setattr(request, "RESULTS", tmp_path)


def test_the_default_is_the_paper_study():
    asked = Request.parse({})
    assert asked.study == "paper"
    assert {experiment.name: len(experiment.seeds) for experiment in asked.experiments}["base"] == 8


def test_an_ablation_stands_beside_its_base():
    asked = Request.parse({"name": "eight", "overrides": "model.n_heads=8 train.steps=7", "seeds": "4,5"})
    base, ablation = asked.experiments
    assert (asked.study, base.name, ablation.name, ablation.base) == ("eight", "base", "eight", "base")
    assert base.seeds == ablation.seeds == (4, 5)
    assert (base.overrides, ablation.overrides) == ((), ("model.n_heads=8", "train.steps=7"))


def test_a_sweep_is_an_experiment_a_value():
    asked = Request.parse({"name": "heads", "overrides": "model.n_heads=2,4"})
    assert [experiment.name for experiment in asked.experiments[1:]] == [
        "heads+model.n_heads-2",
        "heads+model.n_heads-4",
    ]


def test_an_ablation_may_start_from_another_experiment():
    asked = Request.parse({"name": "x", "overrides": "experiment=one_layer model.n_heads=4"})
    assert (asked.experiments[1].base, asked.experiments[1].overrides) == ("one_layer", ("model.n_heads=4",))


def of_checkpoints(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text('{"n_positions": 64}')
    return {"model": ",".join(str(folder / name) for name in names)}


def test_a_model_made_elsewhere_is_a_study_by_itself_and_several_are_one(tmp_path):
    asked = Request.parse(of_checkpoints(tmp_path, "gpt2"))
    (experiment,) = asked.experiments
    assert (asked.study, experiment.name, experiment.base, experiment.seeds) == ("gpt2", "gpt2", "checkpoint", (0,))
    both = Request.parse(of_checkpoints(tmp_path / "more", "a", "b") | {"overrides": "score.draws=100", "name": "c"})
    assert (both.study, [experiment.name for experiment in both.experiments]) == ("c", ["a", "b"])
    assert all(experiment.overrides[-1] == "score.draws=100" for experiment in both.experiments)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"seeds": "0,1"}, "seeds=0,1 .*: a checkpoint has no seeds"),
        ({"model": "{folder}/gpt2,{folder}/gpt2"}, "name each model once"),
        ({"model": "{folder}/gpt2,"}, "name each model once"),
        ({"model": "{folder}/gpt2,{folder}/other/gpt2"}, "two would be called gpt2"),
        ({"overrides": "score.draws=100,200"}, "a sweep over checkpoints"),
        ({"name": "paper"}, "taken"),
    ],
)
def test_a_wrong_request_for_models_made_elsewhere_is_one_line(tmp_path, more, message):
    asked = of_checkpoints(tmp_path, "gpt2", "other/gpt2") | {"model": f"{tmp_path}/gpt2"}
    asked |= {key: value.format(folder=tmp_path) for key, value in more.items()}
    with pytest.raises(ConfigError, match=message):
        Request.parse(asked)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"studdy": "smoke"}, r"studdy=smoke: no such key; did you mean study\?"),
        ({"study": "papr"}, r"study=papr: no such study; did you mean paper\?"),
        ({"overrides": "model.n_heads=8"}, "add name="),
        ({"name": "x"}, "add overrides="),
        ({"name": "paper", "overrides": "model.n_heads=8"}, "taken; paper_2 is free"),
        ({"name": "base", "overrides": "model.n_heads=8"}, "taken; base_2 is free"),
        ({"name": "a b", "overrides": "model.n_heads=8"}, "letters"),
        ({"name": "x", "overrides": "experiment=one_lair"}, r"one_lair: no such experiment; did you mean one_layer\?"),
        ({"name": "x", "overrides": "model.n_heads=8", "seeds": "0-2"}, "seeds=0-2: not a list"),
        ({"name": "x", "overrides": "+model.depth=8"}, "only key=value"),
        ({"name": "x", "overrides": "model.n_heads=[8"}, "overrides: "),
    ],
)
def test_a_wrong_request_is_one_line_that_names_the_right_one(config, message):
    with pytest.raises(ConfigError, match=message) as error:
        Request.parse(config)
    assert "\n" not in str(error.value)


def test_a_name_belongs_to_the_request_that_made_it(tmp_path):
    asked = {"name": "eight", "overrides": "model.n_heads=8"}
    record = tmp_path / "studies" / "eight" / "request.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"request": Request.parse(asked).text}))
    assert Request.parse(asked).study == "eight"
    with pytest.raises(ConfigError, match="eight_2 is free"):
        Request.parse(asked | {"overrides": "model.n_heads=4"})


@pytest.mark.parametrize(
    "override", ["render.dpi=90", "align.seed=5", "benchmark=smoke", "significance=0.01", "confidence=0.9"]
)
def test_what_concerns_the_study_is_all_its_experiments(override):
    asked = Request.parse({"name": "mine", "overrides": f"{override} model.n_heads=4"})
    assert override in asked.overrides
    assert asked.experiments[1].overrides == ("model.n_heads=4",)


def test_a_study_may_make_experiments_of_its_own():
    asked = {experiment.name: experiment for experiment in Request.of_study("known_answers").experiments}
    disguised = asked["copy_disguised"]
    assert (disguised.base, disguised.seeds) == ("known_answers", (0,))
    assert disguised.overrides == ("model=constructed_copy", "model.basis=random", "model.n_heads=4")


def test_a_study_of_an_unknown_experiment_names_the_nearest(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/base.yaml").write_text("")
    text = "overrides: []\nexperiments:\n  x: {experiment: bas, seeds: [0], overrides: []}\n"
    (tmp_path / "study/mine.yaml").write_text(text)
    monkeypatch.setattr(request, "CONF", tmp_path)
    with pytest.raises(ConfigError, match=r"bas: no such experiment; .*base"):
        Request.of_study("mine")


@pytest.mark.parametrize(
    ("arguments", "entries"),
    [
        (["snakemake", "-n", "--config", "study=smoke", "seeds=0", "-c", "4"], ["study=smoke", "seeds=0"]),
        (["snakemake", "-C", "study=smoke"], ["study=smoke"]),
        (["snakemake", "--config=study=smoke", "-n"], ["study=smoke"]),
        (["snakemake", "timing"], []),
    ],
)
def test_what_snakemake_is_given_stands_on_its_command_line(arguments, entries):
    assert request.entries_of(arguments) == entries


def test_what_snakemake_would_drop_is_refused():
    with pytest.raises(ConfigError, match=r"--config: is there twice"):
        request.entries_of(["snakemake", "--config", "study=smoke", "-n", "--config", "seeds=0"])
    with pytest.raises(ConfigError, match=r"study=paper: study is there twice, before as study=smoke"):
        request.refuse_twice(["study=smoke", "seeds=0", "study=paper"])


def test_what_stages_of_a_study_read_of_others_is_known():
    groups = [group for group in graph.OF_A_STUDY if group != "known_answers"]  # which is a study of its own
    files = [path for group in groups for path in (CONF / group).glob("*.yaml")]
    read = {key for path in files for key in re.findall(r"\$\{([\w.]+)\}", path.read_text())}
    assert read == set(READ_BY_THE_STUDY)


def test_a_confidence_of_ones_own_reaches_every_interval_of_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = plan({"study": "smoke", "name": "mine", "overrides": "confidence=0.9 model.n_heads=4", "seeds": "0"})
    specs = [json.loads(job.spec)["settings"] for job in [*planned.jobs.values(), *planned.study_jobs.values()]]
    assert planned.experiments == ["base", "mine"]
    assert {spec["confidence"] for spec in specs if "confidence" in spec} == {0.9}


@pytest.mark.parametrize("sweep", ["confidence=0.8,0.9", "score_checkpoints.late=[0.8,1],[0.9,1]"])
def test_a_sweep_over_what_the_whole_study_reads_is_refused(sweep):
    with pytest.raises(ConfigError, match="is of the whole study, which has no second; give one value"):
        Request.parse({"name": "mine", "overrides": sweep})


def test_what_was_asked_can_be_asked_again_in_a_shell():
    asked = {"study": "smoke", "name": "mine", "overrides": "model.n_heads=4 probe.demo=\"'We dog'\"", "seeds": "0"}
    again = dict(entry.split("=", 1) for entry in shlex.split(Request.parse(asked).text))
    assert again == asked
