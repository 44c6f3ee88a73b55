import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import D_VOCAB

from pipeline.models.notebook_checkpoint import obtain_notebook_checkpoint, vocabulary_size


def state(n_layers=3, d_model=6, d_vocab=5, n_ctx=4):
    generator = torch.Generator().manual_seed(0)
    shapes = {"token_embedding.weight": (d_vocab, d_model), "pos_embedding.weight": (n_ctx, d_model)}
    for layer in range(n_layers):
        shapes |= {
            f"blocks.{layer}.project_qkv.weight": (3 * d_model, d_model),
            f"blocks.{layer}.project_output.weight": (d_model, d_model),
        }
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def saved(tmp_path, tensors):
    path = tmp_path / "model.pt"
    torch.save(tensors, path)
    return path


def obtain(path, n_heads, folder):
    return obtain_notebook_checkpoint(path, n_heads, folder / "config.json", folder / "model.safetensors")


def test_a_notebook_checkpoint_of_any_size_keeps_its_tensors(tmp_path):
    tensors = state()
    assert obtain(saved(tmp_path, tensors), 3, tmp_path) == 5
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["n_layers"], config["d_model"], config["n_ctx"], config["tied"]) == (3, 6, 4, True)
    torch.testing.assert_close(load_file(tmp_path / "model.safetensors"), tensors, rtol=0, atol=0)


def test_the_vocabulary_is_as_large_as_the_embedding(tmp_path, save):
    assert vocabulary_size(str(saved(tmp_path, state(d_vocab=7)))) == 7
    folder, _ = save("gpt2")
    assert vocabulary_size(str(folder)) == D_VOCAB  # of a folder, as of a name on the hub, by its config.json
    with pytest.raises(ValueError, match=r"has no token_embedding\.weight; it has x \.\.\."):
        vocabulary_size(str(saved(tmp_path, {"x": torch.zeros(1)})))


def without(name):
    return lambda tensors: tensors.pop(name)


def with_value(name, value):
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(without("pos_embedding.weight"), "has no pos_embedding.weight", id="missing"),
        pytest.param(without("blocks.1.project_output.weight"), "has no blocks.1.project_output.weight", id="gap"),
        pytest.param(
            with_value("blocks.1.project_qkv.weight", torch.zeros(12, 6)), r"shape \[12, 6\], not \[18, 6\]", id="shape"
        ),
        pytest.param(with_value("pos_embedding.weight", torch.full((4, 6), torch.nan)), "holds NaN", id="NaN"),
        pytest.param(
            with_value("pos_embedding.weight", torch.ones(4, 6, dtype=torch.complex64)),
            r"pos_embedding\.weight is torch\.complex64, which no parameter is",
            id="complex",
        ),
        pytest.param(
            with_value("pos_embedding.weight", torch.ones(4, 6, dtype=torch.int64)),
            r"pos_embedding\.weight is torch\.int64, which no parameter is",
            id="integers",
        ),
        pytest.param(
            with_value("pos_embedding.weight", torch.ones(4, 6).to_sparse()),
            r"pos_embedding\.weight is torch\.sparse_coo; give all its numbers",
            id="sparse",
        ),
        pytest.param(
            with_value("blocks.999999999.project_qkv.weight", torch.zeros(18, 6)),
            "has 4 blocks, and one of them is number 999999999",
            id="a thousand million layers",
        ),
        pytest.param(with_value("ln.weight", torch.ones(6)), r"holds ln\.weight, which is no part", id="left over"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_by_tensor(tmp_path, spoil, message):
    tensors = state()
    spoil(tensors)
    with pytest.raises(ValueError, match=message):
        obtain(saved(tmp_path, tensors), 3, tmp_path)


def test_masks_and_the_tied_unembedding_are_left_out(tmp_path):
    tensors = state()
    more = {"blocks.0.mask": torch.ones(4, 4).tril(), "head.weight": tensors["token_embedding.weight"]}
    obtain(saved(tmp_path, tensors | more), 3, tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == tensors.keys()


def test_heads_that_do_not_divide_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"n_heads=5 does not divide the checkpoint's d_model=6; try 6"):
        obtain(saved(tmp_path, state()), 5, tmp_path)


class Harmful:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="cannot be read as tensors only"):
        obtain(saved(tmp_path, {"x": Harmful()}), 1, tmp_path)
    assert "must not run" not in capsys.readouterr().out
