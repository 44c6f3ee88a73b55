"""Between long tables and tensors with named axes."""

import einops
import numpy as np
import pandas as pd
import torch
from torch import Tensor


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


def sets_of(sequences: pd.DataFrame) -> list[tuple[str, int | None]]:
    """Return every set of sequences to measure on, by eval_set and period: all but the demonstration, sorted.

    Args:
        sequences: the SEQUENCES table.
    """
    names = ["eval_set", "period"]
    measured = sequences.loc[sequences["eval_set"] != "demo", names].drop_duplicates().sort_values(names)
    return [(name, None if pd.isna(period) else int(period)) for name, period in measured.itertuples(index=False)]


def sequences_of(sequences: pd.DataFrame, eval_set: str, period: int | None = None) -> Tensor:
    """Return the token ids of one set of sequences as [sentence, position], int64.

    Args:
        sequences: the SEQUENCES table.
        eval_set: which set.
        period: which period of it; None for sets where nothing repeats by design.

    Raises:
        ValueError: the table holds no such sequences.
    """
    return torch.as_tensor(labels_of(sequences, eval_set, period, "token_id").astype(np.int64))


def labels_of(sequences: pd.DataFrame, eval_set: str, period: int | None, column: str) -> np.ndarray:
    """Return one column of a set of sequences, such as `token` or `token_class`, as [sentence, position].

    Arguments and errors as of `sequences_of`.
    """
    chosen = sequences[sequences["eval_set"] == eval_set]
    chosen = chosen[chosen["period"].isna()] if period is None else chosen[chosen["period"] == period]
    if chosen.empty:
        raise ValueError(f"no sequences of eval_set {eval_set!r}, period {period}; see the probe settings")
    grid = chosen.sort_values(["sentence", "position"])[column].to_numpy()
    return einops.rearrange(grid, "(sentence position) -> sentence position", sentence=chosen["sentence"].nunique())
