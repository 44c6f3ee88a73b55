RUN = {"experiment": "base", "seed": 3, "ids": {"train": "0a"}}


def test_a_manifest_knows_which_runs_share_a_job(accepted, refusal):
    (run,) = accepted("manifest", runs=[RUN]).runs
    assert (run.experiment, run.ids) == ("base", {"train": "0a"})
    assert refusal("manifest", runs=[RUN | {"ids": None}]).startswith("manifest.runs.0.ids=None: ")
