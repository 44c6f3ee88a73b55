import json

import pytest
import torch
from safetensors.torch import load_file

from pipeline.models.families import FAMILIES, family_of, to_weights
from pipeline.models.own_forward import own_forward
from pipeline.models.tiny import D_VOCAB, N_CTX, NAMES, save_tiny


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_random_and_of_the_generator(name, tmp_path):
    for folder, seed in (("first", 0), ("again", 0), ("other", 1)):
        save_tiny(name, tmp_path / folder, torch.Generator().manual_seed(seed))
    first, again, other = (load_file(tmp_path / folder / "model.safetensors") for folder in ("first", "again", "other"))
    for key, tensor in first.items():
        assert torch.equal(tensor, again[key])
        assert not torch.equal(tensor, other[key])
        assert 0.1 < tensor.std() < 1, key


@pytest.mark.parametrize("name", NAMES)
def test_a_model_runs_and_is_read(name, tmp_path):
    save_tiny(name, tmp_path, torch.Generator().manual_seed(0))
    own = own_forward(tmp_path)(torch.arange(9)[None])
    assert own.logits.shape == (1, 9, D_VOCAB)
    config = json.loads((tmp_path / "config.json").read_text())
    weights = to_weights(config, load_file(tmp_path / "model.safetensors").__getitem__)
    assert weights.d_vocab == D_VOCAB
    assert weights.W_pos is None or len(weights.W_pos) == N_CTX


def test_there_is_one_of_every_family(tmp_path):
    for name in NAMES:
        save_tiny(name, tmp_path / name, torch.Generator().manual_seed(0))
    configs = (json.loads((tmp_path / name / "config.json").read_text()) for name in NAMES)
    assert {family_of(config).model_types for config in configs} == {family.model_types for family in FAMILIES}
