"""The toy network, and the notebook's checkpoints, which have the same names."""

from einops import rearrange
from torch import Tensor

from pipeline.models.families.parts import Parts, Read


def parts(config: dict, read: Read) -> Parts:
    """Split the fused, head-major projections of `AttentionOnly` into heads."""
    n_heads, positions = config["n_heads"], config["positions"]

    def projection(place: int, layer: int) -> Tensor:
        fused = read(f"blocks.{layer}.project_qkv.weight")
        axes = "(qkv head d_head) d_model -> qkv head d_model d_head"
        return rearrange(fused, axes, qkv=3, head=n_heads)[place]

    def output(layer: int) -> Tensor:
        axes = "d_model (head d_head) -> head d_head d_model"
        return rearrange(read(f"blocks.{layer}.project_output.weight"), axes, head=n_heads)

    unembedding = "token_embedding.weight" if config["tied"] else "unembedding.weight"
    placed = {} if positions == "none" else {"W_pos": lambda: read("pos_embedding.weight")}
    return Parts(
        n_layers=config["n_layers"],
        settings={"positions": positions},
        whole={
            "W_E": lambda: read("token_embedding.weight"),
            "W_U": lambda: rearrange(read(unembedding), "d_vocab d_model -> d_model d_vocab"),
            **placed,
        },
        layered={
            "W_Q": lambda layer: projection(0, layer),
            "W_K": lambda layer: projection(1, layer),
            "W_V": lambda layer: projection(2, layer),
            "W_O": output,
        },
    )
