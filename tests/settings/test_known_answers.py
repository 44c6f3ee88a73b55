import pytest

from pipeline.settings.known_answers import Work


def job(stage, identity, place):
    return {"stage": stage, "id": identity, "experiment": "copy", "made_from": [], "slice": place}


@pytest.fixture
def work():
    """Two models made from one text; their jobs in no order, and ids that stages share."""
    slices = [{"data": "text"}, {"model": {"circuit": "copy"}}, {"model": {"circuit": "induction"}}]
    jobs = [job("train", "b", 2), job("prepare", "a", 0), job("train", "a", 1)]
    runs = [
        {"experiment": circuit, "seed": 0, "ids": {"prepare": "a", "train": train}}
        for circuit, train in (("copy", "a"), ("induction", "b"))
    ]
    return {"runs": runs, "jobs": jobs, "slices": slices, "code": {"train": "0"}}


def test_a_runs_model_is_what_its_training_was_told(work):
    parsed = Work.parse(work)
    assert [parsed.model_of(run)["circuit"] for run in parsed.runs] == ["copy", "induction"]


def test_a_job_whose_settings_have_no_place_is_refused(refusal, work):
    without = {key: value for key, value in work["jobs"][0].items() if key != "slice"}
    line = refusal("known_answers", work=work | {"jobs": [without]})
    assert line.startswith("known_answers.work.jobs.0.slice: not set")


def test_answers_are_met_within_something(refusal):
    assert refusal("known_answers", tolerance=0).startswith("known_answers.tolerance=0: input should be greater than 0")
    for sds in (-1, float("inf")):
        assert refusal("known_answers", random_sds=sds).startswith(f"known_answers.random_sds={sds}: ")


def test_a_strength_is_a_range_of_probabilities(usual, refusal):
    power = usual("known_answers")["power"]
    for strength in ([0.9, 0.3], [0.0, 0.5], [0.5, 1.0]):
        line = refusal("known_answers", power=power | {"plan": power["plan"] | {"weak": strength}})
        assert f"{strength} is no range of probabilities" in line


def test_every_kind_of_model_is_one_that_is_made(usual, refusal):
    power = usual("known_answers")["power"]
    assert "borrowed" in refusal("known_answers", power=power | {"models": power["models"] | {"borrowed": 3}})
