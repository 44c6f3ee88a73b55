from made_up_rows import options
from smoke_benchmark import smoke_settings

from pipeline.benchmark import work_of
from pipeline.tables.benchmark import BENCHMARK

TIMED = {"what": "decaying", "V": 100, "r": 4, "k": 10, "precision": "float32", "circuits": 1, "repeats": 3}
TIMED |= {"threads": 2}


def test_what_is_compared_is_what_the_stage_measures():
    assert options(BENCHMARK, "what") == {name.split("-")[0] for name in work_of(smoke_settings())}


def test_a_search_may_stand_alone(kept, refusal):
    """Twice as long as a search that took 3 seconds; an atlas is compared with nothing."""
    compared = TIMED | {"baseline": "faiss", "seconds": 6.0, "baseline_seconds": 3.0, "ratio": 2.0}
    rows = kept(BENCHMARK, compared, TIMED | {"what": "atlas_random", "seconds": 60.0})
    assert rows["what"].tolist() == ["atlas_random", "decaying"]
    assert rows["ratio"].fillna(0).tolist() == [0, 2]
    assert refusal(BENCHMARK, compared | {"seconds": -6.0}) == "column seconds: -6.0 is below 0"
    assert refusal(BENCHMARK, compared | {"V": 0}) == "column V: 0 is below 1"
    assert len(kept(BENCHMARK, compared, compared | {"k": 20})) == 2
    assert "two rows share the key" in refusal(BENCHMARK, compared, compared | {"seconds": 5.0})
