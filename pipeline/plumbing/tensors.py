"""Between long tables and tensors with named axes."""

from collections.abc import Iterable, Iterator

import einops
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights

_SETTING_TYPES = {"ln_eps": float, "window": int}
_SCHEMA = pa.schema(
    {"name": pa.string(), "layer": pa.int64(), "head": pa.int64(), "row": pa.int64(), "values": pa.list_(pa.float32())}
)


def to_frame(axes: str, **values: Tensor) -> pd.DataFrame:
    """Turn tensors of one shape into a long table: a column an axis, counted from 0, and one a tensor.

    Args:
        axes: axis names, space-separated, in the tensors' order: "layer head".
        values: tensors of the shape that `axes` names; NaN becomes null when the table is written.

    Raises:
        ValueError: a tensor's shape is not that of the others, or does not match `axes`.
    """
    names = axes.split()
    shapes = {tuple(tensor.shape) for tensor in values.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != len(names):
        raise ValueError(f"to_frame: tensors of shapes {shapes or shape} do not all have the axes {axes!r}")
    indices = np.indices(shape).reshape(len(names), -1)
    columns = {name: indices[axis] for axis, name in enumerate(names)}
    return pd.DataFrame(columns | {name: tensor.detach().cpu().numpy().ravel() for name, tensor in values.items()})


def sequences_of(sequences: pd.DataFrame, eval_set: str, period: int | None = None, column: str = "token_id"):
    """Return one set of sequences as [sentence, position]: ids as an int64 tensor, text as an array.

    Args:
        sequences: the SEQUENCES table.
        eval_set: which set.
        period: which period of it; None for sets where nothing repeats by design.
        column: token_id, token or token_class.

    Raises:
        ValueError: the table holds no such sequences.
    """
    chosen = sequences[sequences["eval_set"] == eval_set]
    chosen = chosen[chosen["period"].isna()] if period is None else chosen[chosen["period"] == period]
    if chosen.empty:
        raise ValueError(f"no sequences of eval_set {eval_set!r}, period {period}; see the probe settings")
    grid = chosen.sort_values(["sentence", "position"])[column].to_numpy()
    grid = einops.rearrange(grid, "(sentence position) -> sentence position", sentence=chosen["sentence"].nunique())
    return torch.as_tensor(grid.astype(np.int64)) if column == "token_id" else grid


def weights_of(weights: pd.DataFrame) -> Weights:
    """Return the WEIGHTS table as tensors; see `weights_in`, which needs less memory."""
    return weights_in([pa.Table.from_pandas(weights, schema=_SCHEMA, preserve_index=False)])


def weights_in(parts: Iterable[pa.Table]) -> Weights:
    """Return the WEIGHTS table as one tensor a name: [layer, head, row, column] where a name has both.

    A vector, which the table holds as a matrix of one row, loses its row axis. What is not a tensor
    (`positions`, `activation`, `ln_eps` ...) stands in rows without values: see `weight_parts`.

    Args:
        parts: the table's rows in its order; of parts read one at a time, no more is held than the weights.

    Raises:
        ValueError: a layer's matrix is cut in two, or missing.
    """
    fields = {}
    for name, layer, matrix in (found for part in parts for found in _matrices(part)):
        if name.startswith("setting:"):
            _, key, value = name.split(":", 2)
            fields[key] = _SETTING_TYPES.get(key, str)(value)
        elif layer is None:
            fields[name] = matrix
        else:
            layers = fields.setdefault(name, [])
            if layer != len(layers):
                raise ValueError(f"table weights: {name} of layer {layer} is not whole; extract it again")
            layers.append(matrix)
    return Weights(**{name: torch.stack(value) if isinstance(value, list) else value for name, value in fields.items()})


def _matrices(data: pa.Table) -> Iterator[tuple[str, int | None, Tensor]]:
    """Yield (name, layer, tensor) of each run of rows that are one matrix, or one of each head."""
    keys = data.select(["name", "layer", "head"]).to_pandas().fillna({"layer": -1, "head": -1})
    run = (keys[["name", "layer"]] != keys[["name", "layer"]].shift()).any(axis=1).cumsum()
    for _, rows in keys.groupby(run.to_numpy(), sort=False):
        name, layer, head = rows.iloc[0]
        values = data["values"].slice(rows.index[0], len(rows)).combine_chunks().flatten().to_numpy()
        if not len(values):
            yield name, None, torch.empty(0)
            continue
        heads = rows["head"].nunique()
        tensor = einops.rearrange(
            torch.tensor(values),
            "(head row column) -> head row column",
            head=heads,
            row=len(rows) // heads,
        )
        tensor = tensor[0] if head < 0 else tensor
        yield name, None if layer < 0 else int(layer), tensor.squeeze(-2) if _is_vector(name) else tensor


def weights_frame(weights: Weights) -> pd.DataFrame:
    """Return parameters as rows of the WEIGHTS table; the inverse of `weights_of`."""
    tensors = {name: value for name, value in vars(weights).items() if isinstance(value, Tensor)}
    settings = {name: value for name, value in vars(weights).items() if name not in tensors}
    data = pa.concat_tables(weight_parts(_each(tensors), settings))
    return data.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def weight_parts(
    each: Iterable[tuple[str, int | None, Tensor]], settings: dict[str, str | int | float | None]
) -> Iterator[pa.Table]:
    """Yield parameters as parts of the WEIGHTS table, in its order, one at a time.

    Args:
        each: (name, layer, tensor) by name and layer; the layer is None for what belongs to none.
        settings: the fields of `Weights` that are no tensors; each becomes a last row, without values.
    """
    for name, layer, tensor in each:
        yield _rows(name, layer, tensor)
    for name in sorted(f"setting:{name}:{value}" for name, value in settings.items() if value is not None):
        yield _rows(name, None, torch.empty(1, 0))


def _each(tensors: dict[str, Tensor]) -> Iterator[tuple[str, int | None, Tensor]]:
    for name, tensor in sorted(tensors.items()):
        if tensor.ndim == (1 if _is_vector(name) else 2):
            yield name, None, tensor
        else:
            yield from ((name, layer, part) for layer, part in enumerate(tensor))


def _is_vector(name: str) -> bool:
    return name.startswith(("b_", "ln", "rotary")) or name.endswith("_bias")


def _rows(name: str, layer: int | None, value: Tensor) -> pa.Table:
    """Return one tensor as rows of the WEIGHTS table, without copying its values."""
    value = value.detach().cpu().unsqueeze(-2) if _is_vector(name) else value.detach().cpu()
    indices = np.indices(value.shape[:-1]).reshape(value.ndim - 1, -1)
    n, width = indices.shape[1], value.shape[-1]
    values = pa.array(einops.rearrange(value.float().numpy(), "... column -> (... column)"))
    offsets = pa.array(np.arange(n + 1, dtype=np.int64) * width, pa.int32())
    columns = [
        pa.array([name]).take(pa.array(np.zeros(n, np.int64))),
        pa.nulls(n, pa.int64()) if layer is None else pa.array(np.full(n, layer)),
        pa.array(indices[0]) if value.ndim == 3 else pa.nulls(n, pa.int64()),
        pa.array(indices[-1]),
        pa.ListArray.from_arrays(offsets, values),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)
