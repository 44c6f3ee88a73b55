"""BERT: attention both ways, norms after each part, and a head that predicts hidden tokens.

Every token is taken to be of the first of the two sentences that BERT tells apart.
"""

from pipeline.models.families.family import Family, Option, Stored

_W_SPLIT, _B_SPLIT = "(head d_head) d_model -> head d_model d_head", "(head d_head) -> head d_head"
_TRANSPOSED = "output input -> input output"

BERT = Family(
    model_types=("bert",),
    # An encoder, with learned positions in the stream.
    usual={"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"},
    sizes={"layer": Option("num_hidden_layers"), "head": Option("num_attention_heads")},
    settings={
        "positions": "residual",
        "activation": Option("hidden_act"),
        "attends": "both_ways",
        "norm_place": "after",
        "ln_eps": Option("layer_norm_eps"),
    },
    tells={
        "d_model": Option("hidden_size"),
        "n_ctx": Option("max_position_embeddings"),
        "d_ff": Option("intermediate_size"),
        "d_vocab_out": Option("vocab_size"),
    },
    # What it was trained with beside hidden tokens, and a bias over again.
    unused=(
        r".*pooler\.dense\.\w+",
        r"cls\.seq_relationship\.\w+",
        r".*position_ids",
        r"cls\.predictions\.decoder\.bias",
    ),
    prefix="bert.",
    older={"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"},
    whole={
        "W_E": Stored("bert.embeddings.word_embeddings.weight"),
        "W_pos": Stored("bert.embeddings.position_embeddings.weight"),
        "b_E": Stored("bert.embeddings.token_type_embeddings.weight", part=0),
        "ln_embed_gain": Stored("bert.embeddings.LayerNorm.weight"),
        "ln_embed_bias": Stored("bert.embeddings.LayerNorm.bias"),
        "W_head": Stored("cls.predictions.transform.dense.weight", _TRANSPOSED),
        "b_head": Stored("cls.predictions.transform.dense.bias"),
        "ln_final_gain": Stored("cls.predictions.transform.LayerNorm.weight"),
        "ln_final_bias": Stored("cls.predictions.transform.LayerNorm.bias"),
        "W_U": Stored("cls.predictions.decoder.weight", _TRANSPOSED, tied="bert.embeddings.word_embeddings.weight"),
        "b_U": Stored("cls.predictions.bias"),
    },
    layer="bert.encoder.layer.{layer}.",
    layered={
        "W_Q": Stored("attention.self.query.weight", _W_SPLIT),
        "W_K": Stored("attention.self.key.weight", _W_SPLIT),
        "W_V": Stored("attention.self.value.weight", _W_SPLIT),
        "W_O": Stored("attention.output.dense.weight", "d_model (head d_head) -> head d_head d_model"),
        "b_Q": Stored("attention.self.query.bias", _B_SPLIT),
        "b_K": Stored("attention.self.key.bias", _B_SPLIT),
        "b_V": Stored("attention.self.value.bias", _B_SPLIT),
        "b_O": Stored("attention.output.dense.bias"),
        "ln1_gain": Stored("attention.output.LayerNorm.weight"),
        "ln1_bias": Stored("attention.output.LayerNorm.bias"),
        "ln2_gain": Stored("output.LayerNorm.weight"),
        "ln2_bias": Stored("output.LayerNorm.bias"),
        "ff_keys": Stored("intermediate.dense.weight"),
        "ff_key_bias": Stored("intermediate.dense.bias"),
        "ff_values": Stored("output.dense.weight", _TRANSPOSED),
        "ff_value_bias": Stored("output.dense.bias"),
    },
)
