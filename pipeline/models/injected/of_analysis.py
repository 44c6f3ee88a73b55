"""Bugs in what is said of a model that was read well and runs well: its terms, its paths, its circuits."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.injected import which
from pipeline.models.injected.bug import Bug

Function = Callable[..., Any]


def _constants_left_out(_: Function) -> Function:
    return lambda sources, constant: sources


def _head_left_out(after_layer: Function) -> Function:
    """Leave the first head out of the sources of what layer 1 reads."""
    return lambda *args: {name: written for name, written in after_layer(*args).items() if name != "0.0"}


def _rows_for_columns(diagonal_rank: Function) -> Function:
    return lambda rows, columns, *others: diagonal_rank(columns, rows, *others)


def _of_a_sample(diagonal_z: Function) -> Function:
    """Divide by the deviation of a sample of entries."""
    return lambda circuit: diagonal_z(circuit) * (1 - 1 / circuit.size**2) ** 0.5


def _by_one_matrix(composition: Function) -> Function:
    """Compose W_O with W_Q, W_K or W_V alone, which depends on how a head's inner space is written down."""

    def wrong(weights: Weights, source: int, reader: int) -> dict[str, Tensor]:
        written = weights.W_O[source][:, None].double()
        read = {through: getattr(weights, f"W_{through}")[reader].double() for through in "QKV"}
        return {
            through: (written @ matrix).norm(dim=(-2, -1)) / (written.norm(dim=(-2, -1)) * matrix.norm(dim=(-2, -1)))
            for through, matrix in read.items()
        }

    return wrong


_COMPOSITION = "pipeline.circuits.scores.composition.composition"
_COPYING = "pipeline.circuits.scores.copying."
_HELD = "pipeline.circuits.scores.held."
_PATHS = "pipeline.circuits.causes.paths."
_SOURCES = "pipeline.circuits.terms.sources."
_DIRECT_LEFT_OUT = {_PATHS + "path_outputs": lambda outputs: lambda *args: outputs(*args)[:, 1:]}
_SCALE_LEFT_OUT = {_HELD + "over": lambda over: lambda x, scale: x}
_LAST_LEFT_OUT = {_PATHS + "order_streams": lambda streams: lambda *args: streams(*args)[:, :-1]}

OF_ANALYSIS = (
    Bug("constants in no term", "terms", which.SHIFTED, functions={_SOURCES + "_with_constant": _constants_left_out}),
    Bug("a head's output in no term", "terms", which.EVERY, functions={_SOURCES + "after_layer": _head_left_out}),
    Bug("parts not divided by the norm's scale", "parts", which.ADDING_UP, functions=_SCALE_LEFT_OUT),
    Bug("the direct path left out", "paths", which.TOY, functions=_DIRECT_LEFT_OUT),
    Bug("paths through a head of each layer left out", "orders", which.TOY, functions=_LAST_LEFT_OUT),
    Bug("columns ranked for rows", "factored", which.EVERY, functions={_COPYING + "diagonal_rank": _rows_for_columns}),
    Bug("deviation of a sample", "factored", which.EVERY, functions={_COPYING + "diagonal_z": _of_a_sample}),
    Bug("composition of W_O with one matrix", "gauge", which.EVERY, functions={_COMPOSITION: _by_one_matrix}),
)
