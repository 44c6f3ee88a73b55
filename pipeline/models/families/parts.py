"""A checkpoint under the field's names, each tensor read when it is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from safetensors import SafetensorError
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights

Read = Callable[[str], Tensor]


@dataclass(frozen=True)
class Parts:
    """What a family makes of a checkpoint: for every name of `Weights`, how to get its value.

    Nothing is read before it is asked for, a layer at a time, so that a model larger than half of the
    memory can be brought under these names.
    """

    n_layers: int
    settings: dict[str, str | int | float | None]  # what is no tensor
    whole: dict[str, Callable[[], Tensor]]  # name: the tensor
    layered: dict[str, Callable[[int], Tensor]] = field(default_factory=dict)  # name: the tensor of a layer

    def each(self) -> Iterator[tuple[str, int | None, Tensor]]:
        """Yield (name, layer, tensor), by name and layer; the layer is None for what belongs to none."""
        for name in sorted([*self.whole, *self.layered]):
            if name in self.whole:
                yield name, None, self.whole[name]()
            else:
                for layer in range(self.n_layers):
                    yield name, layer, self.layered[name](layer)

    def weights(self) -> Weights:
        """Return everything at once, layers stacked."""
        whole = {name: get() for name, get in self.whole.items()}
        layered = {name: torch.stack(list(map(get, range(self.n_layers)))) for name, get in self.layered.items()}
        return Weights(**self.settings, **whole, **layered)


def lenient(read: Read, base: str) -> Read:
    """Return a reader that finds a tensor under any of the names that checkpoints of a family give it.

    A checkpoint of the bare model lacks the prefix `base`; the oldest call a norm's gain and bias gamma and beta.

    Raises:
        ValueError: by the reader, when the checkpoint has none of these names.
    """

    def find(name: str) -> Tensor:
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for candidate in (name, older, name.removeprefix(base), older.removeprefix(base)):
            try:
                return read(candidate)
            except (KeyError, SafetensorError):
                continue
        raise ValueError(f"the checkpoint has no tensor {name}; was it saved whole?")

    return find


def layer_reader(read: Read, prefix: str) -> Callable[[str], Callable[[int], Tensor]]:
    """Return a shorthand: a tensor's name within its layer -> how to get it, given the layer."""
    return lambda name: lambda layer: read(f"{prefix}.{layer}.{name}")


def checked(config: dict, usual: dict[str, object]) -> None:
    """Refuse a variant of a family: each of these options, where config.json has it, must have its usual value.

    Raises:
        ValueError: one has not.
    """
    for option, value in usual.items():
        if config.get(option, value) != value:
            raise ValueError(f"config.json: {option}={config[option]} is not supported; only {value} is")
