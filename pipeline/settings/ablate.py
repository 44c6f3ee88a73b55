"""Settings of the ablate stage."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Bootstrap, Count, EvalSet, LayerPairs, Seed
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={
        "prepare": ("vocabulary",),
        "probe": ("sequences",),
        "extract": ("weights",),
        "score": ("head_scores", "sentence_scores", "head_pairs"),
    },
    tables=(
        "ablations",
        "set_ablations",
        "set_curves",
        "sentence_sets",
        "paths",
        "term_orders",
        "sentence_orders",
        "edges",
        "contributions",
        "logit_lens",
    ),
    gated=True,
    runtime=120,
)


Method = Literal["zero", "mean", "resample", "pattern_preserving", "random_direction"]


class AblateSettings(Bootstrap):
    """What is taken away, how much it is measured on, and how sure the numbers must be."""

    seed: Seed
    eval_sets: tuple[EvalSet, ...] = Field(min_length=1)
    methods: tuple[Method, ...] = Field(min_length=1)
    sentences: int = Field(ge=2)  # resample ablation needs another sentence
    positions: Count | None
    batch: Count
    heads: Count
    best_heads: int = Field(ge=0)
    set_eval_sets: tuple[EvalSet, ...]
    set_sentences: Count
    set_sizes: tuple[Count, ...] = Field(min_length=1)
    random_sets: Count
    random_candidates: Count
    role_attention: float = Field(gt=0, le=1)
    role_copying: float = Field(ge=-1, le=1)
    layer_pairs: LayerPairs | None
    edge_heads: Count
    edge_sentences: Count
    path_eval_sets: tuple[EvalSet, ...]
    path_sentences: Count
    most_paths: Count
    order_pairs: int = Field(ge=2)  # one alone does not tell how they differ

    @model_validator(mode="after")
    def _sizes_rise(self) -> Self:
        if list(self.set_sizes) != sorted(set(self.set_sizes)):
            raise ValueError(f"set_sizes {list(self.set_sizes)}: sets grow; give each size once, the smallest first")
        return self
