"""OPT: a GPT-2 whose table of positions begins with two rows of padding."""

from pipeline.models.families.family import Family, Option, Stored

_BIASED = Option("enable_bias", True)
_W_SPLIT, _B_SPLIT = "(head d_head) d_model -> head d_model d_head", "(head d_head) -> head d_head"

OPT = Family(
    model_types=("opt",),
    # Norms with gains before each part, and one after the last; the smallest of the large ones has them elsewhere.
    usual={"do_layer_norm_before": True, "_remove_final_layer_norm": False, "layer_norm_elementwise_affine": True},
    sizes={"layer": Option("num_hidden_layers"), "head": Option("num_attention_heads")},
    settings={"positions": "residual", "activation": Option("activation_function", "relu"), "ln_eps": 1e-5},
    tells={
        "d_model": Option("hidden_size"),
        "n_ctx": Option("max_position_embeddings"),
        "d_ff": Option("ffn_dim"),
        "d_vocab_out": Option("vocab_size"),
    },
    tied=Option("tie_word_embeddings", True),
    prefix="model.",
    whole={
        "W_E": Stored("model.decoder.embed_tokens.weight"),
        "W_pos": Stored("model.decoder.embed_positions.weight", rows=lambda config: slice(2, None)),
        "ln_final_gain": Stored("model.decoder.final_layer_norm.weight"),
        "ln_final_bias": Stored("model.decoder.final_layer_norm.bias"),
        "W_U": Stored("lm_head.weight", "d_vocab d_model -> d_model d_vocab", tied="model.decoder.embed_tokens.weight"),
    },
    layer="model.decoder.layers.{layer}.",
    layered={
        **{f"W_{side}": Stored(f"self_attn.{side.lower()}_proj.weight", _W_SPLIT) for side in "QKV"},
        **{f"b_{side}": Stored(f"self_attn.{side.lower()}_proj.bias", _B_SPLIT, when=_BIASED) for side in "QKV"},
        "W_O": Stored("self_attn.out_proj.weight", "d_model (head d_head) -> head d_head d_model"),
        "b_O": Stored("self_attn.out_proj.bias", when=_BIASED),
        "ln1_gain": Stored("self_attn_layer_norm.weight"),
        "ln1_bias": Stored("self_attn_layer_norm.bias"),
        "ln2_gain": Stored("final_layer_norm.weight"),
        "ln2_bias": Stored("final_layer_norm.bias"),
        "ff_keys": Stored("fc1.weight"),
        "ff_key_bias": Stored("fc1.bias", when=_BIASED),
        "ff_values": Stored("fc2.weight", "d_model d_ff -> d_ff d_model"),
        "ff_value_bias": Stored("fc2.bias", when=_BIASED),
    },
)
