"""Settings of the score stage."""

from pydantic import Field

from pipeline.settings.base import Bootstrap, Count, LayerPairs, Seed
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={
        "prepare": ("vocabulary",),
        "probe": ("sequences", "loss_sequences"),
        "train": ("config.json", "checkpoints.safetensors"),
        "extract": ("weights",),
    },
    tables=(
        "head_scores",
        "head_pairs",
        "nulls",
        "pair_nulls",
        "pair_directions",
        "relation_pairs",
        "sentence_scores",
        "sentence_pairs",
        "sentence_losses",
        "virtual_heads",
        "loss_by_position",
    ),
    gated=True,
    runtime=120,
)


class ScoreSettings(Bootstrap):
    """How much is measured, and in what portions."""

    batch: Count
    tile: Count
    ranked_tokens: Count
    layer_pairs: LayerPairs | None
    path_sentences: Count
    directions: int = Field(ge=0)
    near: Count
    top_tokens: Count
    relation_pairs: int = Field(ge=2)
    draws: int = Field(ge=20, multiple_of=2)  # with fewer, no p value lies below 0.05
    pair_draws: int = Field(ge=2, multiple_of=2)
    ranked_draws: int = Field(ge=20)
    loss_parts: Count
    null_sentences: Count
    seed: Seed
