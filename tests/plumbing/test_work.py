from types import SimpleNamespace

from pipeline.plumbing.plan import dumps
from pipeline.plumbing.work import work_of


def job(stage, settings, made_from):
    return SimpleNamespace(spec=dumps({"settings": settings, "code": f"code of {stage}"}), made_from=made_from)


def run(name, **ids):
    return SimpleNamespace(experiment=name, seed=0, ids=ids)


def test_what_runs_share_is_done_once_and_in_order():
    jobs = {
        ("prepare", "p"): job("prepare", {"threads": 1}, {}),
        ("train", "a"): job("train", {"gain": 1}, {"prepare": "p"}),
        ("train", "b"): job("train", {"gain": 2}, {"prepare": "p"}),
        ("extract", "c"): job("extract", {"threads": 1}, {"train": "a"}),
        ("extract", "d"): job("extract", {"threads": 1}, {"train": "b"}),
    }
    work = work_of(
        [run("one", prepare="p", train="a", extract="c"), run("two", prepare="p", train="b", extract="d")], jobs
    )
    assert [planned["id"] for planned in work["jobs"]] == ["p", "a", "c", "b", "d"]
    assert [planned["experiment"] for planned in work["jobs"]] == ["one", "one", "one", "two", "two"]
    assert work["jobs"][-1]["made_from"] == ["train/b"]
    assert work["slices"] == [{"threads": 1}, {"gain": 1}, {"gain": 2}]
    assert [planned["slice"] for planned in work["jobs"]] == [0, 1, 0, 2, 0]
    assert work["code"] == {stage: f"code of {stage}" for stage in ("prepare", "train", "extract")}
