"""Settings of the score_checkpoints stage."""

from pydantic import Field

from pipeline.settings.base import Count, EvalSet, Share, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={
        "prepare": ("vocabulary",),
        "probe": ("sequences",),
        "train": ("config.json", "checkpoints.safetensors"),
    },
    tables=("checkpoint_scores", "checkpoint_sentences", "checkpoint_losses"),
    gated=True,
)


class ScoreCheckpointsSettings(StageSettings):
    """How much is measured at every checkpoint, and in what portions."""

    eval_sets: tuple[EvalSet, ...] = Field(min_length=1)
    sentences: Count
    batch: Count
    tile: Count
    ranked_tokens: Count
    early: Share
    late: Share
