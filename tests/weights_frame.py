"""A transformer's weights as the table that stages read."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.frames.weights import is_vector, weight_parts


def weights_frame(weights: Weights) -> pd.DataFrame:
    """Return parameters as rows of the WEIGHTS table; the inverse of `weights_of`."""
    tensors = {name: value for name, value in vars(weights).items() if isinstance(value, Tensor)}
    settings = {name: value for name, value in vars(weights).items() if name not in tensors}
    data = pa.concat_tables(weight_parts(_each(tensors), settings))
    return data.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def _each(tensors: dict[str, Tensor]) -> Iterator[tuple[str, int | None, Tensor]]:
    for name, tensor in sorted(tensors.items()):
        if tensor.ndim == (1 if is_vector(name) else 2):
            yield name, None, tensor
        else:
            yield from ((name, layer, part) for layer, part in enumerate(tensor))
