import pytest

from pipeline.tables.timing import STAGES

# Ten seconds: two jobs of training, 6 and 3, and one of drawing, 1, too short for a sample.
TRAIN = {
    "stage": "train",
    "jobs": 2,
    "seconds": 9.0,
    "longest": 6.0,
    "cpu_seconds": 15.0,
    "peak_bytes": 4096,
    "share": 0.9,
}
RENDER = {"stage": "render", "jobs": 1, "seconds": 1.0, "longest": 1.0, "share": 0.1}


def test_shares_sum_to_the_whole_and_what_was_not_sampled_is_null(kept, refusal):
    rows = kept(STAGES, TRAIN, RENDER)
    assert rows["stage"].tolist() == ["render", "train"]
    assert rows["share"].tolist() == (rows["seconds"] / rows["seconds"].sum()).tolist()
    assert rows["cpu_seconds"].fillna(-1).tolist() == [-1, 15]
    assert rows["peak_bytes"].fillna(-1).tolist() == [-1, 4096]
    assert "two rows share the key" in refusal(STAGES, TRAIN, TRAIN)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jobs": 0}, "column jobs: 0 is below 1"),
        ({"seconds": -1.0}, "column seconds: -1.0 is below 0"),
        ({"share": 1.5}, "column share: 1.5 is above 1"),
    ],
)
def test_a_stage_that_never_ran_has_no_row_and_no_time_runs_backwards(refusal, change, said):
    assert refusal(STAGES, TRAIN | change) == said
