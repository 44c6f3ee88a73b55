"""Where a study's time goes, from times written by hand; the least that it takes, from what stages run."""

import json
from importlib import import_module

import pytest
from training_stages import IN_FORMAT, PROBING, prepared_text, trained

from pipeline import timing
from pipeline.circuits.transformer import layers
from pipeline.plumbing.artefacts import Paths, read
from pipeline.plumbing.compose import compose
from pipeline.plumbing.graph import settings_of
from pipeline.plumbing.scratch import Scratch
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


def test_a_row_per_stage_adds_up_its_jobs(files):
    table = timing.by_stage(files).set_index("stage")
    assert table["jobs"].to_dict() == {"known_answers": 1, "project": 2, "render": 2, "train": 2}
    assert table["seconds"].to_dict() == {"known_answers": 1, "project": 6, "render": 3, "train": 90}
    assert table["longest"].to_dict() == {"known_answers": 1, "project": 4, "render": 2, "train": 60}
    assert table["share"].to_dict() == {"known_answers": 0.01, "project": 0.06, "render": 0.03, "train": 0.9}
    assert table.loc["train", "cpu_seconds"] == 160
    assert table.loc["train", "peak_bytes"] == 600.5 * 2**20
    assert table.loc["render", ["cpu_seconds", "peak_bytes"]].isna().all()


def test_without_any_times_a_line_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="forceall"):
        timing.by_stage([tmp_path / "store/train/aaa/benchmark.tsv"])


ID, LAYERS = "0123456789ab", 3
RUN = {"experiment": "base", "seed": 0, "ids": {}}
READS = {
    "probe": ("prepare",),
    "extract": ("train",),
    "decompose": ("prepare", "probe", "train", "extract"),
    "overlap": ("probe", "extract"),
    "challenge": ("prepare", "extract"),
    "score": ("prepare", "probe", "train", "extract"),
    "ablate": ("prepare", "probe", "extract", "score"),
    "cover": ("prepare", "probe", "extract", "score"),
}
FEW = {"resamples": 40}
SMALL = {
    "probe": PROBING,
    "decompose": FEW | {"map_tokens": 8},
    "overlap": {"tokens": 3, "recalled_tokens": 3, "active_neurons": 2, "sentences": 2},
    "challenge": FEW | {"n_ctx": 16, "sentences": 3, "segment": 3, "periods": [4], "lengths": [12, 16], "gaps": [1]},
    "score": FEW | {"draws": 20, "pair_draws": 2, "ranked_draws": 20, "null_sentences": 2, "batch": 2},
    "ablate": FEW
    | {"sentences": 3, "positions": 5, "set_sizes": [1, 2], "path_sentences": 2, "methods": ["zero", "mean"]},
    "cover": FEW | {"sentences": 2, "positions": 4, "draws": 1},
}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Run the stages of a small Llama; return their folders, and the passes that each ran, counted in its attention."""
    store = tmp_path_factory.mktemp("made")
    folders = {stage: store / stage / ID for stage in ("prepare", "train", *READS)}
    usual, attend, counts = compose((), (), "base", 0), layers.attend, dict.fromkeys(folders, 0.0)

    def files(*stages):
        return [file for stage in stages for file in sorted(folders[stage].iterdir())]

    folders["prepare"].mkdir(parents=True)
    inputs = prepared_text(folders["prepare"])
    trained(inputs, folders["train"], model=IN_FORMAT | {"n_layers": LAYERS})
    for stage, reads in READS.items():
        settings = usual[stage] | SMALL.get(stage, {})

        def noted(weights, resid, *others, stage=stage):
            counts[stage] += len(resid) / LAYERS
            return attend(weights, resid, *others)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layers, "attend", noted)
            outputs = Scratch(folders[stage], json.dumps({"settings": settings}))
            import_module(f"pipeline.{stage}").run(settings_of(stage).parse(settings), Paths(files(*reads)), outputs)
    return folders, counts


def settings_for(folders):
    return TimingSettings.parse(
        {"threads": 1, "dpi": 50, "repeats": 1, "runs": [RUN | {"ids": dict.fromkeys(folders, ID)}]}
    )


@pytest.mark.parametrize("stage", ["overlap", "challenge"])
def test_stages_that_share_all_they_can_run_as_many_passes_as_they_cannot_do_without(counted, stage):
    folders, counts = counted
    assert counts[stage] > 0
    assert timing.floor_in(folders[stage], settings_for(folders)).passes == pytest.approx(counts[stage])


@pytest.mark.parametrize("stage", ["decompose", "score", "ablate", "cover"])
def test_no_stage_does_with_fewer_passes_than_it_cannot_do_without(counted, stage):
    folders, counts = counted
    passes = timing.floor_in(folders[stage], settings_for(folders)).passes
    assert counts[stage] / 3 < passes <= counts[stage]


def test_beside_what_a_stage_took_stands_the_time_of_its_products(counted, tmp_path):
    folders, _ = counted
    (folders["overlap"] / "benchmark.tsv").write_text(HEADER + TIMES["store/train/aaa/benchmark.tsv"] + "\n")
    outputs = Paths([tmp_path / f"stages.{kind}" for kind in ("parquet", "svg", "png")])
    timing.run(settings_for(folders), Paths([folders["overlap"] / "benchmark.tsv"]), outputs)
    [row] = read(STAGES, outputs).to_dict("records")
    assert row["passes"] == 2
    assert 0 < row["floor_seconds"] == pytest.approx(110 * row["floor_share"])
    vectors = LAYERS * (4 * 8 + 2 * 12) + 2 * 16 * LAYERS  # and streams, each on more than 200 tokens
    assert row["floor_seconds"] * row["floor_speed"] > 200 * 2 * 8 * vectors
    assert all(file.stat().st_size for file in outputs.files)
