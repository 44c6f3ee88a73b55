"""What a family of models is: a table from our names to its own.

Values that a checkpoint's config.json decides are written as functions of it; `Option` is the one that reads
a single option.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

FromConfig = Callable[[Mapping[str, Any]], Any]
Setting = str | int | float | None
_REQUIRED = object()


@dataclass(frozen=True)
class Option:
    """An option of config.json: called with the configuration, it returns the option's value."""

    name: str
    default: object = _REQUIRED  # where config.json does not say; without it, it must
    means: Mapping[Any, object] = field(default_factory=dict)  # our word for a value, where theirs is another

    def __call__(self, config: Mapping[str, Any]) -> Any:
        """Look the option up.

        Raises:
            ValueError: config.json does not say, and must.
        """
        value = config.get(self.name, self.default)
        if value is _REQUIRED:
            raise ValueError(f"config.json does not say {self.name}; write it there")
        return self.means.get(value, value)


def always(config: Mapping[str, Any]) -> bool:
    """Say that every model of a family has it, whatever its configuration."""
    return True


def all_rows(config: Mapping[str, Any]) -> slice:
    """Take all rows of a tensor."""
    return slice(None)


@dataclass(frozen=True)
class Stored:
    """Where a checkpoint keeps one of our parameters, and how its axes become ours."""

    name: str  # theirs; of a layer's parameter, without what `Family.layer` puts before it
    axes: str = ""  # an einops pattern from their axes to ours, with the axes of `Family.sizes`; "" if they agree
    part: int | None = None  # which of the first axis that the pattern leaves, where several are fused; None for all
    tied: str = ""  # their name for the tensor that it is where `Family.tied` says so
    when: FromConfig = always  # whether the model has it
    rows: Callable[[Mapping[str, Any]], slice] = all_rows  # which of its rows it is, where it holds others' too


Source = Stored | Callable[[Mapping[str, Any]], Float[Tensor, "..."]]  # in the checkpoint, or its config.json alone


@dataclass(frozen=True)
class Family:
    """A table from our names to those of a family's checkpoints.

    A new family is one more such table, named in `families.FAMILIES`; what its mathematics has that no
    family had before goes into `circuits/transformer`.
    """

    model_types: tuple[str, ...]  # `model_type` of config.json
    sizes: Mapping[str, int | FromConfig]  # of axes in the patterns that no shape tells; `layer` and `head` among them
    settings: Mapping[str, Setting | FromConfig]  # those fields of `Weights` that are no tensors
    whole: Mapping[str, Source]  # what no layer has of its own
    layer: str  # how names of a layer's tensors begin, with {layer}
    layered: Mapping[str, Source]  # what each layer has of its own
    tied: FromConfig = Option("tie_word_embeddings")  # whether the unembedding is the embedding, transposed
    prefix: str = ""  # how names begin, except in checkpoints of the model without its unembedding
    older: Mapping[str, str] = field(default_factory=dict)  # how names ended in the oldest checkpoints
    tells: Mapping[str, FromConfig] = field(default_factory=dict)  # axes of `Weights` whose sizes config.json tells
    unused: tuple[str, ...] = ()  # patterns of names of tensors that checkpoints hold, and no parameter is made of
    usual: Mapping[str, object] = field(default_factory=dict)  # options that, where given, must have this value


def fused(kind: str, name: str, axes: str, when: FromConfig = always) -> dict[str, Stored]:
    """Name queries, keys and values that are one tensor, `axes` leaving the three first: W_Q, W_K, W_V, or b_..."""
    return {f"{kind}_{side}": Stored(name, axes, part, when=when) for part, side in enumerate("QKV")}
