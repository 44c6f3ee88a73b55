from typing import get_args

import pytest
from training_stages import IN_FORMAT, TRAINING

from pipeline.circuits.closed_forms.wiring import CIRCUITS
from pipeline.settings.train import ConstructedModel, TrainSettings


def test_heads_that_do_not_divide_the_width_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"model\.n_heads=3 does not divide model\.d_model=8; .* is 2"):
        TrainSettings.parse(TRAINING | {"model": TRAINING["model"] | {"n_heads": 3}})


def test_segments_whose_shortest_is_longer_than_the_longest_are_refused():
    with pytest.raises(ValueError, match=r"copies\.min_length=6 is above max_length=5"):
        TrainSettings.parse(TRAINING | {"copies": TRAINING["copies"] | {"min_length": 6}})


@pytest.mark.parametrize("wrong", [{"n_kv_heads": 3}, {"format": "gpt2"}])
def test_keys_are_shared_evenly_and_by_no_gpt2(wrong):
    assert TrainSettings.parse(TRAINING | {"model": IN_FORMAT}).model.n_kv_heads == 2
    with pytest.raises(ValueError, match=r"model\.n_kv_heads=[23]: 4 heads cannot share .* give 4"):
        TrainSettings.parse(TRAINING | {"model": IN_FORMAT | wrong})


@pytest.mark.parametrize(
    ("model", "files"),
    [
        (TRAINING["model"], []),
        ({"source": "notebook_checkpoint", "path": "model.pt", "n_heads": 2, "n_ctx": 8}, ["model.pt"]),
        ({"source": "hub", "path": "owner/name", "allow_bin": False, "n_ctx": 8}, []),
        ({"source": "hub", "path": "./nowhere", "allow_bin": False, "n_ctx": 8}, ["./nowhere"]),
    ],
)
def test_the_workflow_watches_files_made_elsewhere(model, files):
    assert TrainSettings.parse(TRAINING | {"model": model}).files() == files


def test_of_a_local_folder_it_watches_what_is_read(tmp_path):
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "notes.txt", "tokenizer.json"):
        (tmp_path / name).write_text("")
    model = {"source": "hub", "path": str(tmp_path), "allow_bin": False, "n_ctx": 8}
    expected = [str(tmp_path / name) for name in ("config.json", "model.safetensors", "pytorch_model.bin")]
    assert TrainSettings.parse(TRAINING | {"model": model}).files() == expected


def test_every_circuit_that_can_be_wired_can_be_asked_for():
    assert set(get_args(ConstructedModel.model_fields["circuit"].annotation)) == set(CIRCUITS)
