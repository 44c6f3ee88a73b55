import json
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import D_VOCAB

from pipeline.models import hub
from pipeline.models.families import to_weights
from pipeline.models.hub import hub_vocabulary_size, obtain_hub


@pytest.fixture
def obtain(tmp_path):
    """Obtain a checkpoint; return what it holds, its configuration and its tensors."""

    def run(path, allow_bin=False):
        config, model = tmp_path / "config.json", tmp_path / "model.safetensors"
        obtained = obtain_hub(str(path), allow_bin, config, model)
        return obtained, json.loads(config.read_text()), load_file(model)

    return run


def test_one_file_is_linked_not_copied(save, obtain, tmp_path):
    folder, _ = save("gpt2")
    obtained, config, tensors = obtain(folder)
    assert (obtained.d_vocab, obtained.dtypes) == (D_VOCAB, ("F32",))
    assert (config["model_type"], config["step"]) == ("gpt2", None)
    assert (tmp_path / "model.safetensors").resolve() == (folder / "model.safetensors").resolve()
    torch.testing.assert_close(tensors, load_file(folder / "model.safetensors"), rtol=0, atol=0)


def test_options_that_a_config_leaves_out_are_written_out(save, obtain):
    folder, _ = save("llama")
    own = json.loads((folder / "config.json").read_text())
    kept = {name: value for name, value in own.items() if name not in ("rope_parameters", "head_dim")}
    (folder / "config.json").write_text(json.dumps(kept))
    config = obtain(folder)[1]
    assert config["head_dim"] == 6
    assert config["rope_parameters"]["rope_theta"] == 10000.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shards_become_one_file_one_tensor_at_a_time(save, obtain, tmp_path, monkeypatch, dtype):
    save("llama", "whole", spoil=lambda model: model.to(dtype))
    folder, _ = save("llama", spoil=lambda model: model.to(dtype), max_shard_size="3KB")
    assert len(list(folder.glob("*.safetensors"))) > 3
    alive = watched(monkeypatch)
    obtained, _, tensors = obtain(folder)
    assert max(alive) <= 2
    assert obtained.dtypes == ({torch.float32: "F32", torch.bfloat16: "BF16"}[dtype],)
    torch.testing.assert_close(tensors, load_file(tmp_path / "whole" / "model.safetensors"), rtol=0, atol=0)


def watched(monkeypatch):
    """Note, whenever a tensor is read, how many that were read before are still held."""
    held, alive, open_file = weakref.WeakSet(), [], hub.safe_open

    class Watched:
        def __init__(self, *args, **options):
            self.file = open_file(*args, **options)

        def get_tensor(self, name):
            alive.append(sum(1 for _ in held))
            tensor = self.file.get_tensor(name)
            held.add(tensor)
            return tensor

    monkeypatch.setattr(hub, "safe_open", Watched)
    return alive


def pickled(folder):
    """Turn a folder's safetensors into the pickle that older checkpoints are."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_a_pickle_is_read_only_if_asked_for_and_as_tensors_only(save, obtain):
    folder, model = save("gpt2")
    pickled(folder)
    with pytest.raises(ValueError, match=r"has only pytorch_model\.bin, which model\.allow_bin=true reads"):
        obtain(folder)
    tensors = obtain(folder, allow_bin=True)[2]
    torch.testing.assert_close(tensors["transformer.wte.weight"], model.transformer.wte.weight.detach())


class Harmful:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_that_would_run_code_is_refused(save, obtain, capsys):
    folder, _ = save("gpt2")
    (folder / "model.safetensors").unlink()
    torch.save({"x": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be read"):
        obtain(folder, allow_bin=True)
    assert "must not run" not in capsys.readouterr().out


def nan(model):
    model.model.layers[1].mlp.up_proj.weight.data[2, 3] = torch.nan


def infinite(model):
    model.model.norm.weight.data[0] = torch.inf


def rewritten(**changes):
    def spoil(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return spoil


@pytest.mark.parametrize(
    ("spoil_model", "spoil_folder", "message"),
    [
        pytest.param(nan, None, "model.layers.1.mlp.up_proj.weight holds NaN or infinity", id="NaN"),
        pytest.param(infinite, None, "model.norm.weight holds NaN or infinity", id="infinity"),
        pytest.param(None, rewritten(model_type="mamba"), "'mamba' is not a known family; known: .*llama", id="family"),
        pytest.param(None, rewritten(vocab_size=30), "says 30 tokens, the embedding has 29 rows", id="vocabulary"),
        pytest.param(None, rewritten(quantization_config={}), "its weights are quantised", id="quantised"),
        pytest.param(None, lambda folder: (folder / "config.json").unlink(), "config.json cannot be read", id="config"),
        pytest.param(
            None, lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read", id="JSON"
        ),
        pytest.param(
            None, lambda folder: (folder / "model.safetensors").unlink(), "needs safetensors, and has none", id="none"
        ),
        pytest.param(
            None, lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "cannot be read", id="junk"
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_one_line(save, obtain, tmp_path, spoil_model, spoil_folder, message):
    folder, _ = save("llama", spoil=spoil_model or (lambda model: None))
    if spoil_folder:
        spoil_folder(folder)
    with pytest.raises(ValueError, match=message) as error:
        obtain(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"model.path={folder}")
    assert not (tmp_path / "model.safetensors").exists()


def test_shards_outside_the_folder_are_not_followed(save, obtain):
    folder, _ = save("llama", max_shard_size="3KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.norm.weight"] = "../elsewhere.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"points outside its folder, to \.\./elsewhere"):
        obtain(folder)


def test_masks_that_old_checkpoints_hold_are_left_out_of_merged_files(save, obtain):
    folder, _ = save("gpt2")
    tensors = load_file(folder / "model.safetensors")
    pickled(folder)
    mask = {"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.bool)}
    torch.save(tensors | mask, folder / "pytorch_model.bin")
    assert set(obtain(folder, allow_bin=True)[2]) == set(tensors)


def test_names_without_prefix_and_the_oldest_names_are_found(save, obtain):
    folder, _ = save("bert")
    tensors = load_file(folder / "model.safetensors")
    renamed = {"bert.": "", "LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    older = {}
    for name, value in tensors.items():
        for ours, theirs in renamed.items():
            name = name.replace(ours, theirs)
        older[name] = value
    save_file(older, folder / "model.safetensors")
    config, older = obtain(folder)[1:]
    ours, expected = (to_weights(config, state.__getitem__) for state in (older, tensors))
    for name, value in vars(expected).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(getattr(ours, name), value)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_one_line(path, obtain):
    for ask in (obtain, hub_vocabulary_size):
        with pytest.raises(ValueError, match="there is no such folder; give a folder, or a name on the hub"):
            ask(path)


def test_a_name_is_looked_up_in_the_cache_and_never_fetched(save, obtain, tmp_path, monkeypatch):
    cache, revision = tmp_path / "cache", "0" * 40
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with pytest.raises(ValueError, match=rf"not in the hub's cache {cache}; .*hf download owner/tiny") as error:
        obtain("owner/tiny")
    assert "\n" not in str(error.value)
    folder, _ = save("gpt2")
    (cache / "models--owner--tiny/refs").mkdir(parents=True)
    (cache / "models--owner--tiny/refs/main").write_text(revision)
    (cache / "models--owner--tiny/snapshots").mkdir()
    folder.rename(cache / "models--owner--tiny/snapshots" / revision)
    obtain("owner/tiny")
    assert hub_vocabulary_size("owner/tiny") == D_VOCAB


def test_the_vocabulary_is_known_from_the_configuration_alone(save):
    folder, _ = save("qwen2")
    (folder / "model.safetensors").unlink()
    assert hub_vocabulary_size(str(folder)) == D_VOCAB
