"""How far apart two versions of one table are: which rows, in which columns, by how much."""

from collections.abc import Iterator

import numpy as np
import pandas as pd


def compared(mine: pd.DataFrame, theirs: pd.DataFrame, key: list[str], tolerance: float) -> tuple[str, str]:
    """Return whether two tables are "equal", "close" or "different", and where.

    Args:
        mine: a table's rows.
        theirs: another's.
        key: columns that tell rows apart; one side, of older code, may lack some.
        tolerance: up to which floats are close: absolute, above 1 relative.
    """
    told = list(_lacking("column", mine.columns, theirs.columns))
    key = [column for column in key if column in mine and column in theirs]
    if not key or any(frame.duplicated(key).any() for frame in (mine, theirs)):
        return "different", "; ".join(told)  # rows that only a column of one side tells apart
    mine, theirs = (frame.set_index(key) for frame in (mine, theirs))
    if not mine.index.equals(theirs.index):
        told += _lacking("row", mine.index, theirs.index)
        both = mine.index.intersection(theirs.index)
        mine, theirs = mine.loc[both], theirs.loc[both]
    distances = {str(name): _distances(mine[name], theirs[name]) for name in mine if name in theirs}
    far = {name: absolute > tolerance * np.maximum(1, size) for name, (absolute, size) in distances.items()}
    if rows := int(np.logical_or.reduce([*far.values(), np.zeros(len(mine), bool)]).sum()):
        told.insert(0, f"{rows} of {len(mine)} rows, in {', '.join(name for name in far if far[name].any())}")
    largest = list(_largest(distances))
    return ("different" if told else "close" if largest else "equal"), "; ".join([*told, *largest])


def _lacking(what: str, mine: pd.Index, theirs: pd.Index) -> Iterator[str]:
    """Yield how many of the members of two indices only one has."""
    for where, only in (("here", mine.difference(theirs)), ("there", theirs.difference(mine))):
        if len(only):
            first = " ".join(map(str, only[0])) if isinstance(only[0], tuple) else only[0]
            yield f"{len(only)} {what}s only {where}, the first {first}"


def _distances(mine: pd.Series, theirs: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return how far apart two columns are, row by row, and how large theirs is; what is no float is 0 or inf apart."""
    if mine.dtype.kind == "f" and theirs.dtype.kind == "f":
        a, b = mine.to_numpy(), theirs.to_numpy()
        absolute = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
        return np.where(np.isnan(absolute), np.inf, absolute), np.nan_to_num(np.abs(b))
    if len(mine) and isinstance(mine.iloc[0], np.ndarray):
        pairs = [
            (a, b) if len(a) == len(b) else (np.full(1, np.inf), np.zeros(1)) for a, b in zip(mine, theirs, strict=True)
        ]
        largest = [(np.abs(a - b).max(initial=0), np.abs(b).max(initial=0)) for a, b in pairs]
        return np.array([absolute for absolute, _ in largest]), np.array([size for _, size in largest])
    same = (mine == theirs).fillna(False).to_numpy(bool) | (mine.isna() & theirs.isna()).to_numpy(bool)
    return np.where(same, 0.0, np.inf), np.zeros(len(same))


def _largest(distances: dict[str, tuple[np.ndarray, np.ndarray]]) -> Iterator[str]:
    """Yield the largest finite difference of any column, absolute and relative, if there is any."""
    absolute, relative = {}, {}
    for name, (distance, size) in distances.items():
        known = np.isfinite(distance) & (distance > 0)
        if known.any():
            absolute[name] = distance[known].max()
            relative[name] = (distance[known] / np.maximum(size[known], np.finfo(float).tiny)).max()
    if absolute:
        worst, most = max(absolute, key=lambda name: absolute[name]), max(relative, key=lambda name: relative[name])
        yield f"largest difference {absolute[worst]:.2g} in {worst}, relative {relative[most]:.2g} in {most}"
