"""Settings of the train stage: which model, and how it is trained if it is."""

import math
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Count, Length, Positive, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("tokenizer.json", "tokens")},
    tables=("training_curve",),
    files=("config.json", "model.safetensors", "tokenizer.json", "checkpoints.safetensors"),
    mem_mb=4000,
    runtime=240,
)

Scale = Annotated[float, Field(gt=0, le=1000)]
# Of a model's folder, without its tokenizer, which the prepare stage reads.
MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "pytorch_model*")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # owner/name


class Shape(Slice):
    """What every attention-only network has."""

    n_heads: Count
    d_model: Count
    n_ctx: int = Field(ge=4)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_model % self.n_heads:
            below = [n for n in range(1, math.isqrt(self.d_model) + 1) if self.d_model % n == 0]
            divisors = below + [self.d_model // n for n in below]
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
    embedding_sd: Scale
    position_sd: Scale
    query_key_scale: Scale


class TrainedModel(Initialised):
    """An attention-only network, trained here."""

    source: Literal["trained"]


class TrainedInFormat(Shape):
    """A model in a format of the transformers library, with norms and feed-forward parts, trained here."""

    source: Literal["trained_in_format"]
    format: Literal["gpt2", "llama"]
    n_layers: Count
    n_kv_heads: Count
    d_ff: Count
    tied: bool
    initial_sd: Scale

    @model_validator(mode="after")
    def _keys_are_shared_evenly(self) -> Self:
        if self.n_heads % self.n_kv_heads or (self.format == "gpt2" and self.n_kv_heads != self.n_heads):
            raise ValueError(
                f"model.n_kv_heads={self.n_kv_heads}: {self.n_heads} heads cannot share as many keys and values in a "
                f"{self.format}; give {self.n_heads}"
            )
        return self


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

    @model_validator(mode="after")
    def _holds_a_model(self) -> Self:
        path = Path(self.path)
        if path.is_dir():
            endings = (".safetensors", ".bin") if self.allow_bin else (".safetensors",)
            there = {file.suffix for file in path.iterdir()} & set(endings)
            if lacking := (
                ["config.json"] * (not (path / "config.json").is_file()) + [" or ".join(endings)] * (not there)
            ):
                raise ValueError(
                    f"model.path={self.path}: the folder has no {' and no '.join(lacking)}; name one as "
                    "save_pretrained writes it"
                )
        elif path.exists():
            raise ValueError(
                f"model.path={self.path} is a file; name its folder, or take model=notebook_checkpoint for a state dict"
            )
        elif not _elsewhere(self.path) and not HUB_NAME.fullmatch(self.path):
            raise ValueError(f"model.path={self.path} is no folder, and no name on the hub; write owner/name")
        return self


class NotebookCheckpoint(ObtainedModel):
    """A checkpoint in the notebook's format."""

    source: Literal["notebook_checkpoint"]
    n_heads: Count

    @model_validator(mode="after")
    def _is_a_file(self) -> Self:
        if Path(self.path).is_dir():
            raise ValueError(f"model.path={self.path} is a folder; name the file, or take model=hub for a folder")
        if Path(self.path).exists() and not Path(self.path).is_file():
            raise ValueError(f"model.path={self.path} is no regular file; name the one that torch.save wrote")
        if Path(self.path).exists() and not Path(self.path).stat().st_size:
            raise ValueError(f"model.path={self.path} is empty; name the file that torch.save wrote")
        return self


Trained = TrainedModel | TrainedInFormat
MadeHere = Trained | RandomInit | ConstructedModel


class CopiesSettings(Slice):
    """Segments copied within training sequences."""

    fraction: float = Field(ge=0, le=1)
    min_length: Length  # the first token of a copy is no second copy
    max_length: Count
    heldout_distances: tuple[Length, ...]


class CurveSettings(Slice):
    """When and on what the losses of the training curve are measured."""

    measurements: int = Field(ge=2)
    sentences: Count
    seed: Seed


class OptimisationSettings(Slice):
    """How parameters are changed step by step."""

    steps: Count
    learning_rate: float = Field(gt=0, le=1)
    warmup_steps: int = Field(ge=0)
    decay_share: float = Field(gt=0, le=1)
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    epsilon: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)


class TrainSettings(StageSettings, OptimisationSettings):
    """Which model, and how it is trained if it is."""

    model: Annotated[MadeHere | HubModel | NotebookCheckpoint, Field(discriminator="source")]
    seed: Seed
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

    @model_validator(mode="after")
    def _within_the_steps(self) -> Self:
        if not isinstance(self.model, Trained):
            return self
        for name in ("warmup_steps", "first_checkpoint"):
            if (step := getattr(self, name)) > self.steps:
                raise ValueError(f"train.{name}={step} is beyond train.steps={self.steps}; lower it or raise steps")
        if self.checkpoints > self.steps + 1:
            raise ValueError(
                f"train.checkpoints={self.checkpoints} are more than step 0 and train.steps={self.steps} others; "
                "lower it or raise steps"
            )
        return self

    def files(self) -> list[str]:
        """The notebook's checkpoint, or the files of a local model folder."""
        if not isinstance(self.model, ObtainedModel):
            return []
        path = Path(self.model.path)
        if isinstance(self.model, HubModel) and path.is_dir():
            return sorted({str(file) for pattern in MODEL_FILES for file in path.glob(pattern)})
        on_the_hub = isinstance(self.model, HubModel) and not _elsewhere(self.model.path)
        return [] if on_the_hub else [self.model.path]


def _elsewhere(path: str) -> bool:
    """Whether a path cannot be a name on the hub."""
    return path.startswith(("/", ".", "~"))
