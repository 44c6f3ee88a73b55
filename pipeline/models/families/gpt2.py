"""GPT-2: learned positions in the residual stream, layer norms, biases, feed-forward layers.

Its Conv1D weights are [input, output], so they already multiply row vectors from the right.
"""

from pipeline.models.families.family import Family, Option, Stored, fused

GPT2 = Family(
    model_types=("gpt2",),
    # Attention scaled by 1/sqrt(d_head), which never looks at another model's output.
    usual={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    sizes={"layer": Option("n_layer"), "head": Option("n_head"), "qkv": 3},
    settings={
        "positions": "residual",
        "activation": Option("activation_function", "gelu_new"),
        "ln_eps": Option("layer_norm_epsilon", 1e-5),
    },
    tells={
        "d_model": Option("n_embd"),
        "n_ctx": Option("n_positions"),
        "d_ff": lambda config: config.get("n_inner") or 4 * config["n_embd"],
        "d_vocab_out": Option("vocab_size"),
    },
    unused=(r".*\.attn\.(masked_)?bias",),
    tied=Option("tie_word_embeddings", True),
    prefix="transformer.",
    whole={
        "W_E": Stored("transformer.wte.weight"),
        "W_pos": Stored("transformer.wpe.weight"),
        "ln_final_gain": Stored("transformer.ln_f.weight"),
        "ln_final_bias": Stored("transformer.ln_f.bias"),
        "W_U": Stored("lm_head.weight", "d_vocab d_model -> d_model d_vocab", tied="transformer.wte.weight"),
    },
    layer="transformer.h.{layer}.",
    layered={
        **fused("W", "attn.c_attn.weight", "d_model (qkv head d_head) -> qkv head d_model d_head"),
        **fused("b", "attn.c_attn.bias", "(qkv head d_head) -> qkv head d_head"),
        "W_O": Stored("attn.c_proj.weight", "(head d_head) d_model -> head d_head d_model"),
        "b_O": Stored("attn.c_proj.bias"),
        "ln1_gain": Stored("ln_1.weight"),
        "ln1_bias": Stored("ln_1.bias"),
        "ln2_gain": Stored("ln_2.weight"),
        "ln2_bias": Stored("ln_2.bias"),
        "ff_keys": Stored("mlp.c_fc.weight", "d_model d_ff -> d_ff d_model"),
        "ff_key_bias": Stored("mlp.c_fc.bias"),
        "ff_values": Stored("mlp.c_proj.weight"),
        "ff_value_bias": Stored("mlp.c_proj.bias"),
    },
)
