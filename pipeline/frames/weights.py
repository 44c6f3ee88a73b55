"""Between the WEIGHTS table and a transformer's weights."""

from collections.abc import Iterable, Iterator
from typing import Any

import einops
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.plumbing.memory import release_freed

_SETTING_TYPES = {
    "ln_eps": float,
    "window": int,
    **dict.fromkeys(("gain_from", "embed_scale", "query_scale", "score_cap", "logit_cap"), float),
}
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
    fields: dict[str, Any] = {}
    for name, layer, matrix in (entry for part in parts for entry in _matrices(part)):
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
    whole: dict[str, Any] = {name: torch.stack(v) if isinstance(v, list) else v for name, v in fields.items()}
    fields.clear()
    release_freed()  # where the matrices of each layer lay: half as much as is held
    return Weights(**whole)


def _matrices(data: pa.Table) -> Iterator[tuple[str, int | None, Tensor]]:
    """Yield (name, layer, tensor) of each run of rows that are one matrix, or one of each head."""
    rows = data.select(["name", "layer", "head"]).to_pandas().fillna({"layer": -1, "head": -1})
    whose = rows[["name", "layer"]]
    run = (whose != whose.shift()).any(axis=1).cumsum().to_numpy()
    for _, together in rows.groupby(run, sort=False):
        name, layer, head = together.iloc[0]
        values = pc.list_flatten(data["values"].slice(together.index[0], len(together))).to_numpy()
        heads = 0 if head < 0 else together["head"].nunique()
        yield name, None if layer < 0 else int(layer), _tensor(name, torch.tensor(values), len(together), heads)


def _tensor(name: str, values: Float[Tensor, " value"], n_rows: int, heads: int) -> Float[Tensor, "..."]:
    """Put a parameter together: [head, row, column], without the first axis for 0 heads; a vector has no rows.

    Of a setting, which has no values: an empty tensor.
    """
    if not len(values):
        return values
    shape = (heads, n_rows // heads, -1) if heads else (n_rows, -1)
    matrix = values.reshape(shape)
    return matrix.squeeze(-2) if is_vector(name) else matrix


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
        pa.repeat(name, n),
        pa.nulls(n, pa.int64()) if layer is None else pa.array(np.full(n, layer)),
        pa.array(indices[0]) if value.ndim == 3 else pa.nulls(n, pa.int64()),
        pa.array(indices[-1]),
        pa.ListArray.from_arrays(offsets, values),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)
