"""The toy network, and the notebook's checkpoints, which have the same names."""

from pipeline.models.families.family import Family, Option, Stored, fused

ATTENTION_ONLY = Family(
    model_types=("attention_only",),
    sizes={"layer": Option("n_layers"), "head": Option("n_heads"), "qkv": 3},
    settings={"positions": Option("positions")},
    tied=Option("tied"),
    whole={
        "W_E": Stored("token_embedding.weight"),
        "W_U": Stored("unembedding.weight", "d_vocab d_model -> d_model d_vocab", tied="token_embedding.weight"),
        "W_pos": Stored("pos_embedding.weight", when=lambda config: config["positions"] != "none"),
    },
    layer="blocks.{layer}.",
    layered={
        **fused("W", "project_qkv.weight", "(qkv head d_head) d_model -> qkv head d_model d_head"),
        "W_O": Stored("project_output.weight", "d_model (head d_head) -> head d_head d_model"),
    },
)
