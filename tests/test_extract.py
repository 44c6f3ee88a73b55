import json
import weakref

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS

from pipeline import extract
from pipeline.circuits.transformer.forward import forward
from pipeline.frames.weights import weights_in, weights_of
from pipeline.models.families import to_weights
from pipeline.models.hub import obtain_hub
from pipeline.plumbing.artefacts import Paths, read, read_parts
from pipeline.settings.extract import ExtractSettings
from pipeline.tables.extract import WEIGHTS


@pytest.fixture
def extracted(tmp_path):
    """Obtain a checkpoint and extract its weights; return the table's paths."""

    def run(folder):
        inputs, outputs = tmp_path / "config.json", tmp_path / "model.safetensors"
        obtain_hub(str(folder), False, inputs, outputs)
        table = Paths([tmp_path / "weights.parquet"])
        extract.run(ExtractSettings(threads=1), Paths([inputs, outputs]), table)
        return table

    return run


def assert_equal(ours, expected):
    for name, value in vars(expected).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(ours, name), value, rtol=0, atol=0)
        else:
            assert getattr(ours, name) == value


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_table_holds_the_weights_of_every_family(name, save, extracted):
    folder, model = save(name)
    table = extracted(folder)
    expected = to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__)
    assert_equal(weights_in(read_parts(WEIGHTS, table)), expected)
    assert_equal(weights_of(read(WEIGHTS, table)), expected)


def test_shards_give_the_bytes_of_the_whole(save, extracted):
    whole = extracted(save("gpt_neox", "whole")[0]).file("weights.parquet").read_bytes()
    assert extracted(save("gpt_neox", "cut", max_shard_size="4KB")[0]).file("weights.parquet").read_bytes() == whole


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_are_read_as_the_float32_they_stand_for(dtype, save, extracted):
    folder, model = save("llama", spoil=lambda model: model.to(dtype))
    weights = weights_in(read_parts(WEIGHTS, extracted(folder)))
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(forward(weights, tokens).logits, model.float()(tokens).logits, atol=1e-4, rtol=1e-4)


def test_a_tensor_is_let_go_before_many_more_are_read(save, extracted, monkeypatch):
    held, most, open_file = weakref.WeakSet(), [], extract.safe_open

    class Watched:
        def __init__(self, *args, **options):
            self.file = open_file(*args, **options)

        def __enter__(self):
            return self

        def __exit__(self, *failure):
            return None

        def get_tensor(self, name):
            most.append(len(held))
            tensor = self.file.get_tensor(name)
            held.add(tensor)
            return tensor

    monkeypatch.setattr(extract, "safe_open", Watched)
    extracted(save("gpt2")[0])
    assert len(most) > 30
    assert max(most) <= 2


def test_a_checkpoint_that_lacks_a_tensor_leaves_nothing_behind(save, extracted, tmp_path):
    folder, _ = save("llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(ValueError, match=r"has no tensor model\.layers\.3\."):
        extracted(folder)
    assert not (tmp_path / "weights.parquet").exists()
    assert not list(tmp_path.glob(".*"))
