RUN = {"experiment": "base", "seed": 3, "ids": {"train": "0a"}}


def test_a_run_is_its_stages_by_their_ids(accepted, refusal):
    (run,) = accepted("summarise", runs=[RUN]).runs
    assert (run.seed, run.ids) == (3, {"train": "0a"})
    assert refusal("summarise", runs=[RUN | {"seed": -1}]).startswith("summarise.runs.0.seed=-1: ")
    assert refusal("summarise", runs=[RUN | {"ids": {"train": 7}}]).startswith("summarise.runs.0.ids.train=7: ")


def test_a_study_keeps_the_request_that_made_it(accepted, refusal):
    assert accepted("summarise", request='{"study": "smoke"}').request == '{"study": "smoke"}'
    assert refusal("summarise", request=None).startswith("summarise.request=None: input should be a valid string")
