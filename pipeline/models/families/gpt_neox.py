"""GPT-NeoX, as Pythia: partial rotary positions, attention and feed-forward part side by side."""

from pipeline.models.families.family import Family, Option, Stored, fused
from pipeline.models.families.rotary import rotary_frequencies

_BIASED = Option("attention_bias")

GPT_NEOX = Family(
    model_types=("gpt_neox",),
    sizes={"layer": Option("num_hidden_layers"), "head": Option("num_attention_heads"), "qkv": 3},
    settings={
        "positions": "rotary",
        "activation": Option("hidden_act"),
        "residual": Option("use_parallel_residual", means={True: "parallel", False: "sequential"}),
        "ln_eps": Option("layer_norm_eps"),
    },
    tells={
        "d_model": Option("hidden_size"),
        "d_ff": Option("intermediate_size"),
        "d_vocab_out": Option("vocab_size"),
    },
    unused=(r".*\.attention\.((masked_)?bias|rotary_emb\.inv_freq)",),
    prefix="gpt_neox.",
    whole={
        "W_E": Stored("gpt_neox.embed_in.weight"),
        "rotary_frequency": rotary_frequencies,
        "ln_final_gain": Stored("gpt_neox.final_layer_norm.weight"),
        "ln_final_bias": Stored("gpt_neox.final_layer_norm.bias"),
        "W_U": Stored("embed_out.weight", "d_vocab d_model -> d_model d_vocab", tied="gpt_neox.embed_in.weight"),
    },
    layer="gpt_neox.layers.{layer}.",
    layered={
        **fused("W", "attention.query_key_value.weight", "(head qkv d_head) d_model -> qkv head d_model d_head"),
        **fused("b", "attention.query_key_value.bias", "(head qkv d_head) -> qkv head d_head", when=_BIASED),
        "W_O": Stored("attention.dense.weight", "d_model (head d_head) -> head d_head d_model"),
        "b_O": Stored("attention.dense.bias", when=_BIASED),
        "ln1_gain": Stored("input_layernorm.weight"),
        "ln1_bias": Stored("input_layernorm.bias"),
        "ln2_gain": Stored("post_attention_layernorm.weight"),
        "ln2_bias": Stored("post_attention_layernorm.bias"),
        "ff_keys": Stored("mlp.dense_h_to_4h.weight"),
        "ff_key_bias": Stored("mlp.dense_h_to_4h.bias"),
        "ff_values": Stored("mlp.dense_4h_to_h.weight", "d_model d_ff -> d_ff d_model"),
        "ff_value_bias": Stored("mlp.dense_4h_to_h.bias"),
    },
)
