"""Whether a checkpoint's tensors are those of the model that its config.json describes, by names and shapes alone."""

import math
import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import torch
from torch import Tensor

from pipeline.circuits.transformer.layers import ACTIVATIONS
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families import family_of, lazy_weights
from pipeline.models.families.family import Stored
from pipeline.models.families.lazy_weights import LazyWeights

# Axes of every parameter, as `Weights` declares them.
AXES: Mapping[str, list[str]] = {
    name: axes.dim_str.split()
    for name, kind in get_type_hints(Weights).items()
    for axes in (get_args(kind) or (kind,))
    if hasattr(axes, "dim_str")
}
USUAL_ERRORS = (ArithmeticError, AttributeError, KeyError, TypeError)  # of an option of a strange type


def unused_tensors(
    config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], no_numbers: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names of tensors that no parameter of the model is made of, and that may be left out.

    Args:
        config: the checkpoint's config.json, with every option written out.
        shapes: of its tensors of floating-point numbers.
        no_numbers: type of each of its other tensors.

    Raises:
        ValueError: a size or setting cannot be, two shapes disagree with each other or with config.json, a tensor is
            missing, of another type, or is there although config.json describes no part of a model that has it.
    """
    asked = set()

    def read(name: str) -> Tensor:
        if name in no_numbers:
            raise ValueError(f"{name} is {no_numbers[name]}, which no parameter is; give it as floating-point numbers")
        shape = shapes[name]
        asked.add(name)
        return torch.empty(shape, device="meta")

    try:
        weights = lazy_weights(config, read)
        _check_settings(weights)
        _check_shapes(weights)
    except USUAL_ERRORS as error:
        raise ValueError(f"config.json cannot be used ({type(error).__name__}: {error})") from error
    left = sorted((shapes.keys() | no_numbers.keys()) - asked)
    harmless = [*weights.family.unused, *map(re.escape, copies_in(config))]
    for name in left:
        if not any(re.fullmatch(pattern, name) for pattern in harmless):
            layer = re.search(re.escape(weights.family.layer).replace(r"\{layer\}", r"(\d+)"), name)
            beyond = layer is not None and int(layer[1]) >= weights.sizes["layer"]
            why = f"of {weights.sizes['layer']} layers" if beyond else "that has such a tensor"
            raise ValueError(f"holds {name}, and config.json describes no model {why}; is it the checkpoint's own?")
    return tuple(left)


def copies_in(config: Mapping[str, Any]) -> dict[str, str]:
    """Return names of tensors that config.json says are others over again, and of those others."""
    family = family_of(config)
    whole = (source for source in family.whole.values() if isinstance(source, Stored))
    return {stored.name: stored.tied for stored in whole if stored.tied and family.tied(config)}


def _check_settings(weights: LazyWeights) -> None:
    for axis, size in weights.sizes.items():
        if type(size) is not int or size < 1:
            raise ValueError(f"config.json: {size!r} is no number of {axis}s; give 1 or more")
    activation, eps = (weights.settings.get(name) for name in ("activation", "ln_eps"))
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"config.json: activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    if eps is not None and not (isinstance(eps, int | float) and math.isfinite(eps) and eps >= 0):
        raise ValueError(f"config.json: {eps!r} is no epsilon of a norm; give a small positive number")


def _check_shapes(weights: LazyWeights) -> None:
    """Hold every axis of every parameter against the first that has it, and against config.json where that tells."""
    told = ((axis, tell(weights.config)) for axis, tell in weights.family.tells.items())
    sizes: dict[str, tuple[object, str]] = {axis: (size, "config.json") for axis, size in told}
    sizes["head"] = weights.sizes["head"], "config.json"
    for name, layer, tensor in weights.each():
        axes = [axis for axis in AXES[name] if axis != "layer"]
        where = name if layer is None else f"{name} of layer {layer}"
        if len(axes) != tensor.ndim:
            raise ValueError(f"{where} has shape {list(tensor.shape)}, not one size for each of {', '.join(axes)}")
        if not tensor.is_meta and not (tensor.isfinite() & (tensor > 0)).all():  # rotary frequencies
            raise ValueError(f"config.json: {name} is {tensor.tolist()}; correct its rope_parameters")
        for axis, size in zip(axes, tensor.shape, strict=True):
            first, of = sizes.setdefault(axis, (size, where))
            if size != first:
                raise ValueError(f"{where} has {axis} {size}, and {of} {first}; is config.json the checkpoint's own?")
