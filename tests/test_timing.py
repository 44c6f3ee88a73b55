"""Where a study's time goes, from times written by hand."""

import pytest

from pipeline import timing
from pipeline.plumbing.artefacts import Paths, read
from pipeline.settings.timing import TimingSettings
from pipeline.tables.timing import STAGES

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
TIMES = {
    "store/train/aaa/benchmark.tsv": "60.00\t0:01:00\t500.00\t0\t0\t0\t0\t0\t180\t110.00",
    "store/train/bbb/benchmark.tsv": "30.00\t0:00:30\t600.50\t0\t0\t0\t0\t0\t180\t50.00",
    "store/project/ccc/benchmark.tsv": "2.00\t0:00:02\t100.00\t0\t0\t0\t0\t0\t90\t1.50",
    "store/project/ccc/part_0.tsv": "4.00\t0:00:04\t200.00\t0\t0\t0\t0\t0\t90\t3.50",
    "studies/mine/logs/render_one_layer.tsv": "2.00\t0:00:02\t-\t-\t-\t-\t-\t-\t-\t-",
    "studies/mine/logs/render_study.tsv": "1.00\t0:00:01\t-\t-\t-\t-\t-\t-\t-\t-",
    "studies/mine/logs/known_answers.tsv": "1.00\t0:00:01\t10.00\t0\t0\t0\t0\t0\t90\t0.50",
}


@pytest.fixture
def files(tmp_path):
    for name, times in TIMES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + times + "\n", encoding="utf-8")
    return [tmp_path / name for name in (*TIMES, "store/train/never_timed/benchmark.tsv")]


def test_a_row_per_stage_adds_up_its_jobs(files, tmp_path):
    outputs = Paths([tmp_path / f"stages.{kind}" for kind in ("parquet", "svg", "png")])
    timing.run(TimingSettings(threads=1, dpi=50), Paths(files), outputs)
    table = read(STAGES, outputs).set_index("stage")
    assert table["jobs"].to_dict() == {"known_answers": 1, "project": 2, "render": 2, "train": 2}
    assert table["seconds"].to_dict() == {"known_answers": 1, "project": 6, "render": 3, "train": 90}
    assert table["longest"].to_dict() == {"known_answers": 1, "project": 4, "render": 2, "train": 60}
    assert table["share"].to_dict() == {"known_answers": 0.01, "project": 0.06, "render": 0.03, "train": 0.9}
    assert table.loc["train", "cpu_seconds"] == 160
    assert table.loc["train", "peak_bytes"] == 600.5 * 2**20
    assert table.loc["render", ["cpu_seconds", "peak_bytes"]].isna().all()
    assert all(file.stat().st_size for file in outputs.files)


def test_without_any_times_a_line_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="forceall"):
        timing.by_stage([tmp_path / "store/train/aaa/benchmark.tsv"])
