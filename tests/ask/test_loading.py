import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from pipeline.ask import loading
from pipeline.ask.loading import load, vector_in
from pipeline.circuits.transformer.forward import forward


def notebook_state(d_model=8, d_vocab=13, layers=2):
    generator = torch.Generator().manual_seed(0)
    shapes = {"token_embedding.weight": (d_vocab, d_model), "pos_embedding.weight": (9, d_model)}
    for layer in range(layers):
        shapes[f"blocks.{layer}.project_qkv.weight"] = (3 * d_model, d_model)
        shapes[f"blocks.{layer}.project_output.weight"] = (d_model, d_model)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_a_run_of_a_study_has_its_tokens_and_settings(made, model):
    assert model.run.experiment == "base"
    assert model.settings["project"]["pairs"] == 6
    assert model.begin == 0
    assert model.verified.checks == 8
    assert model.verified.error <= model.verified.tolerance
    assert_close(model.weights.W_E, load_file(made.folder / "model.safetensors")["token_embedding.weight"])


def test_a_toys_folder_is_read_without_its_study(made):
    alone = load(made.folder)
    assert alone.run is None
    assert alone.tokenizer.get_vocab_size() == 272


def test_a_checkpoint_gives_its_own_logits(save):
    folder, own = save("gpt2")
    read = load(folder)
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    assert_close(forward(read.weights, tokens).logits, own(tokens).logits, atol=1e-4, rtol=1e-4)
    assert "25 tokens" not in str(read.verified)
    assert str(read.verified).startswith("verified against its own forward pass on 8 tokens: 9 checks")


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "other.safetensors"])
def test_a_state_dict_needs_its_number_of_heads(tmp_path, name):
    state = notebook_state()
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    read = load(tmp_path / name, heads=4)
    assert read.weights.n_heads == 4
    assert_close(read.weights.W_E, state["token_embedding.weight"])
    with pytest.raises(ValueError, match="add --heads 8"):
        load(tmp_path / name)
    with pytest.raises(ValueError, match=r"model.n_heads=3 does not divide"):
        load(tmp_path / name, heads=3)


def test_a_model_that_is_not_what_it_computes_is_refused(made, monkeypatch):
    right = loading.to_weights

    def turned(*arguments):
        weights = right(*arguments)
        return type(weights)(**vars(weights) | {"W_Q": -weights.W_Q})

    monkeypatch.setattr(loading, "to_weights", turned)
    with pytest.raises(ValueError, match=r"check terms of layer 0: .* so nothing is said of it"):
        load(made.folder)


def test_what_cannot_be_read_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^nosuch: no such folder, and not in the hub's cache"):
        load("nosuch")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json cannot be read"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "attention_only"}))
    with pytest.raises(ValueError, match=r"model.safetensors"):
        load(tmp_path)


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(made, tmp_path):
    torch.save(notebook_state(), tmp_path / "model.pt")
    (tmp_path / "tokenizer.json").write_bytes((made.folder / "tokenizer.json").read_bytes())
    with pytest.raises(ValueError, match="the tokenizer has 272 tokens, the model knows 13"):
        load(tmp_path / "model.pt", heads=2)


def test_a_vector_is_found_by_name(tmp_path):
    file = tmp_path / "vectors.safetensors"
    save_file({"steer": torch.arange(4.0)}, file)
    assert vector_in(f"{file}:steer").tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="has no tensor ster; did you mean steer"):
        vector_in(f"{file}:ster")
    with pytest.raises(ValueError, match=r"write FILE.safetensors:NAME"):
        vector_in(str(file))
