"""A family that no library knows is a table of a few lines; its model is written out here."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from pipeline.circuits.transformer.forward import forward
from pipeline.frames.weights import weight_parts, weights_in
from pipeline.models import families
from pipeline.models.families.family import Family, Option, Stored, always, fused

D_VOCAB, D_MODEL, D_FF, N_HEADS = 11, 12, 7, 3

TINY = Family(
    model_types=("tiny",),
    sizes={"layer": Option("depth"), "head": Option("heads"), "qkv": 3},
    settings={"positions": "residual", "activation": Option("act"), "ln_eps": 1e-3},
    whole={
        "W_E": Stored("words.weight"),
        "W_pos": Stored("places.weight"),
        "W_U": Stored("out.weight", "d_vocab d_model -> d_model d_vocab", tied="words.weight"),
    },
    layer="part{layer}.",
    layered={
        **fused("W", "all.weight", "(d_head head qkv) d_model -> qkv head d_model d_head"),
        "W_O": Stored("back.weight", "d_model (head d_head) -> head d_head d_model"),
        "b_O": Stored("back.bias", when=Option("biased", False)),
        "ln1_gain": Stored("norm.weight"),
        "ln1_bias": Stored("norm.bias"),
        "ln2_gain": Stored("norm.weight"),
        "ln2_bias": Stored("norm.bias"),
        "ff_keys": Stored("up.weight"),
        "ff_values": Stored("down.weight", "d_model d_ff -> d_ff d_model"),
    },
)


class Part(nn.Module):
    """Attention whose components come first and its heads after, then neurons; one norm serves both."""

    def __init__(self, biased):
        super().__init__()
        self.norm = nn.LayerNorm(D_MODEL, eps=1e-3)
        self.all = nn.Linear(D_MODEL, 3 * D_MODEL, bias=False)
        self.back = nn.Linear(D_MODEL, D_MODEL, bias=biased)
        self.up, self.down = nn.Linear(D_MODEL, D_FF, bias=False), nn.Linear(D_FF, D_MODEL, bias=False)

    def forward(self, x):
        joint = self.all(self.norm(x)).unflatten(-1, (D_MODEL // N_HEADS, N_HEADS, 3))
        query, key, value = (side.movedim(-1, -3) for side in joint.unbind(-1))  # [batch, head, position, d_head]
        read = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.back(read.movedim(-3, -2).flatten(-2))
        return x + self.down(functional.relu(self.up(self.norm(x))))


class Tiny(nn.Module):
    def __init__(self, biased=False):
        super().__init__()
        self.words, self.places = nn.Embedding(D_VOCAB, D_MODEL), nn.Embedding(9, D_MODEL)
        self.part0, self.part1 = Part(biased), Part(biased)
        self.out = nn.Linear(D_MODEL, D_VOCAB, bias=False)

    def forward(self, tokens):
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        return self.out(self.part1(self.part0(x)))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_a_table_is_all_that_a_new_family_needs(biased, tied, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = Tiny(biased)
    if tied:
        model.out.weight = model.words.weight
    tensors = {name: value for name, value in model.state_dict().items() if not (tied and name == "out.weight")}
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"model_type": "tiny", "depth": 2, "heads": N_HEADS, "act": "relu", "biased": biased}
    config |= {"tie_word_embeddings": tied}

    monkeypatch.setattr(families, "FAMILIES", (TINY,))
    with safe_open(tmp_path / "model.safetensors", framework="pt") as checkpoint:
        lazy = families.lazy_weights(config, checkpoint.get_tensor)
        weights = weights_in(weight_parts(lazy.each(), lazy.settings))
    tokens = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(forward(weights, tokens).logits, model(tokens), atol=1e-5, rtol=1e-5)


def test_an_option_is_looked_up_and_put_into_our_words():
    option = Option("norm", default="LN", means={"RMS": "rms", "LN": "layer"})
    assert [option({"norm": "RMS"}), option({"norm": "other"}), option({})] == ["rms", "other", "layer"]
    assert Option("norm", default=None)({}) is None


def test_an_option_that_must_be_there_is_named():
    with pytest.raises(ValueError, match=r"config\.json does not say heads; write it there"):
        Option("heads")({"depth": 2})


def test_fused_tensors_are_three_parts_of_one():
    table = fused("b", "qkv.bias", "(qkv head d_head) -> qkv head d_head")
    assert {ours: (stored.name, stored.part) for ours, stored in table.items()} == {
        "b_Q": ("qkv.bias", 0),
        "b_K": ("qkv.bias", 1),
        "b_V": ("qkv.bias", 2),
    }
    assert all(stored.when is always and always({}) for stored in table.values())
