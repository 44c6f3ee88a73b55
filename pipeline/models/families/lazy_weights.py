"""A checkpoint under the field's names, each tensor read when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from einops import EinopsError, repeat
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families.family import Family, Setting, Source, Stored

Read = Callable[[str], Tensor]


@dataclass(frozen=True)
class LazyWeights:
    """`Weights` of which nothing is read before it is asked for, a layer at a time.

    So a model larger than half of the memory can be brought under these names.
    """

    family: Family
    config: Mapping[str, Any]  # config.json
    read: Read  # the checkpoint's tensor of a name; KeyError or SafetensorError if it has none

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Sizes of the axes that patterns name; `layer` and `head` are n_layers and n_heads."""
        return {axis: size if isinstance(size, int) else size(self.config) for axis, size in self.family.sizes.items()}

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """What is no tensor."""
        return {name: value(self.config) if callable(value) else value for name, value in self.family.settings.items()}

    @cached_property
    def layered(self) -> dict[str, Source]:
        """What each layer of this model has of its own."""
        return self._had(self.family.layered)

    @cached_property
    def whole(self) -> dict[str, Source]:
        """What no layer of this model has of its own."""
        return self._had(self.family.whole)

    def tensor(self, name: str, layer: int | None = None) -> Float[Tensor, "..."]:
        """Read one tensor under our name for it; the layer is None for what belongs to none.

        Raises:
            ValueError: the checkpoint has none, or its shape is not what its family's pattern says.
        """
        source = self.whole[name] if layer is None else self.layered[name]
        if not isinstance(source, Stored):
            return source(self.config)
        return self._arranged(source, "" if layer is None else self.family.layer.format(layer=layer))

    def each(self) -> Iterator[tuple[str, int | None, Float[Tensor, "..."]]]:
        """Yield (name, layer, tensor), by name and layer; the layer is None for what belongs to none."""
        for name in sorted([*self.whole, *self.layered]):
            for layer in range(self.sizes["layer"]) if name in self.layered else [None]:
                yield name, layer, self.tensor(name, layer)

    def load(self) -> Weights:
        """Read everything at once, layers stacked."""
        layers = range(self.sizes["layer"])
        whole = {name: self.tensor(name) for name in self.whole}
        layered = {name: torch.stack([self.tensor(name, layer) for layer in layers]) for name in self.layered}
        return Weights(**self.settings, **whole, **layered)  # pyright: ignore[reportArgumentType]

    def _had(self, table: Mapping[str, Source]) -> dict[str, Source]:
        """Return what of a table this model has."""
        return {
            name: source for name, source in table.items() if not isinstance(source, Stored) or source.when(self.config)
        }

    def _arranged(self, stored: Stored, before: str) -> Tensor:
        """Read a tensor and turn its axes into ours."""
        name = stored.tied if stored.tied and self.family.tied(self.config) else before + stored.name
        tensor = self._by_any_name(name)[stored.rows(self.config)]
        if stored.axes:
            axes = stored.axes.replace("(", " ").replace(")", " ").split()
            sizes = {axis: size for axis, size in self.sizes.items() if axis in axes}
            try:
                tensor = repeat(tensor, stored.axes, **sizes)
            except EinopsError as error:
                raise ValueError(
                    f"the checkpoint's {name} has shape {list(tensor.shape)}, which does not divide into "
                    f"{stored.axes.split(' ->')[0]} of {sizes}; is config.json the checkpoint's own?"
                ) from error
        return tensor if stored.part is None else tensor[stored.part]

    def _by_any_name(self, name: str) -> Tensor:
        """Read a tensor under any of the names that checkpoints of the family give it."""
        names = [name]
        names += [name.removesuffix(new) + old for new, old in self.family.older.items() if name.endswith(new)]
        for candidate in [*names, *(candidate.removeprefix(self.family.prefix) for candidate in names)]:
            try:
                return self.read(candidate)
            except (KeyError, SafetensorError):
                continue
        raise ValueError(f"the checkpoint has no tensor {name}; was it saved whole?")
