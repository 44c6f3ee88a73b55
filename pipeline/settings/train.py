"""Settings of the train stage: which model, and how it is trained if it is."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("tokenizer.json", "tokens")},
    tables=("training_curve",),
    files=("config.json", "model.safetensors", "tokenizer.json", "checkpoints.safetensors"),
    mem_mb=4000,
    runtime=240,
)

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Shape(Slice):
    """What every attention-only network has."""

    n_heads: Count
    d_model: Count
    n_ctx: int = Field(ge=4)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_model % self.n_heads:
            divisors = [n for n in range(1, self.d_model + 1) if self.d_model % n == 0]
            nearest = min(divisors, key=lambda n: abs(n - self.n_heads))
            raise ValueError(
                f"model.n_heads={self.n_heads} does not divide model.d_model={self.d_model}; "
                f"the nearest that does is {nearest}"
            )
        return self


class Initialised(Shape):
    """How an attention-only network begins."""

    n_layers: Count
    positions: Literal["queries_and_keys", "none"]
    tied: bool
    embedding_sd: Positive
    position_sd: Positive
    query_key_scale: Positive


class TrainedModel(Initialised):
    """An attention-only network, trained here."""

    source: Literal["trained"]


class RandomInit(Initialised):
    """The same network as it is before training."""

    source: Literal["random_init"]


class ConstructedModel(Shape):
    """An attention-only network wired by hand."""

    source: Literal["constructed"]
    circuit: Literal[
        "previous_token",
        "positional_shortcut",
        "duplicate_token",
        "copy",
        "anticopy",
        "uniform",
        "induction",
        "q_composition",
        "v_composition",
    ]
    basis: Literal["one_hot", "random"]
    offset: Count
    position_gain: Positive
    match_gain: Positive
    copy_gain: Positive


class ObtainedModel(Slice):
    """A model whose weights are files made elsewhere."""

    path: str
    n_ctx: int = Field(ge=4)


class HubModel(ObtainedModel):
    """A transformers checkpoint."""

    source: Literal["hub"]
    allow_bin: bool


class NotebookCheckpoint(ObtainedModel):
    """A checkpoint in the notebook's format."""

    source: Literal["notebook_checkpoint"]
    n_heads: Count


class CopiesSettings(Slice):
    """Segments copied within training sequences."""

    fraction: float = Field(ge=0, le=1)
    min_length: int = Field(ge=2)  # the first token of a copy is no second copy
    max_length: Count
    heldout_distances: tuple[Count, ...]


class CurveSettings(Slice):
    """When and on what the losses of the training curve are measured."""

    measurements: int = Field(ge=2)
    sentences: Count
    seed: int = Field(ge=0)


class OptimisationSettings(Slice):
    """How parameters are changed step by step."""

    steps: Count
    learning_rate: Positive
    warmup_steps: int = Field(ge=0)
    decay_share: float = Field(gt=0, le=1)
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    epsilon: Positive
    weight_decay: float = Field(ge=0)


class TrainSettings(StageSettings, OptimisationSettings):
    """Which model, and how it is trained if it is."""

    model: Annotated[
        TrainedModel | RandomInit | ConstructedModel | HubModel | NotebookCheckpoint, Field(discriminator="source")
    ]
    seed: int = Field(ge=0)
    batch: Count
    copies: CopiesSettings
    first_checkpoint: Count
    checkpoints: int = Field(ge=2)
    curve: CurveSettings
    save_every: Count
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "bfloat16", "float32"]

    @model_validator(mode="after")
    def _copies_fit(self) -> Self:
        if self.copies.min_length > self.copies.max_length:
            raise ValueError(f"copies.min_length={self.copies.min_length} is above max_length={self.copies.max_length}")
        return self

    def files(self) -> list[str]:
        """The notebook's checkpoint, or the files of a local model folder."""
        if not isinstance(self.model, ObtainedModel):
            return []
        path = Path(self.model.path)
        if isinstance(self.model, HubModel) and path.is_dir():
            return sorted(str(file) for file in path.iterdir() if file.suffix in (".json", ".safetensors", ".bin"))
        on_the_hub = isinstance(self.model, HubModel) and not self.model.path.startswith(("/", ".", "~"))
        return [] if on_the_hub else [self.model.path]
