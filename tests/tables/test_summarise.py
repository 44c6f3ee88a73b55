from pipeline.tables.summarise import RUNS

RUN = {"experiment": "base", "seed": 0, "stage": "train", "id": "0a1b", "settings": '{"steps": 5}'}


def test_a_run_made_each_stage_once(kept, refusal):
    """Runs may share what a stage made."""
    rows = kept(RUNS, RUN | {"seed": 1}, RUN | {"stage": "score"}, RUN)
    assert rows[["seed", "stage"]].to_numpy().tolist() == [[0, "score"], [0, "train"], [1, "train"]]
    assert rows["id"].nunique() == 1
    assert "two rows share the key" in refusal(RUNS, RUN, RUN | {"id": "2c3d"})
    assert refusal(RUNS, RUN | {"seed": -1}) == "column seed: -1 is below 0"
    assert "id: string not null" in refusal(RUNS, RUN | {"stage": "score"}, RUN | {"id": None})
