"""Between the WEIGHTS table and a transformer's weights."""

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
        yield name, None if layer < 0 else int(layer), tensor.squeeze(-2) if is_vector(name) else tensor


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


def is_vector(name: str) -> bool:
    """Whether a parameter of this name is a vector, which the table holds as a matrix of one row."""
    return name.startswith(("b_", "ln", "rotary")) or name.endswith("_bias")


def _rows(name: str, layer: int | None, value: Tensor) -> pa.Table:
    """Return one tensor as rows of the WEIGHTS table, without copying its values."""
    value = value.detach().cpu().unsqueeze(-2) if is_vector(name) else value.detach().cpu()
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
