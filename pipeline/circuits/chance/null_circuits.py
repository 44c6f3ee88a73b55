"""What chance gives for the scores of a circuit's diagonal: random heads in the same model.

A circuit left W right^T holds a head's own matrix W [d_model, d_model] of rank d_head, between what it reads and
what its writing is read by: embedding, unembedding, the matrices of other heads. Chance replaces W alone.

*rotation*: W = A S B^T (A and B singular vectors, S singular values) becomes A S O B^T with O uniform among
orthogonal d_head x d_head matrices. Kept are the singular values, the directions read and how strongly each,
and the space written to; lost is only which direction read becomes which direction written. Where random weights
favour no direction, as Gaussian ones do, W and its rotations are exchangeable, and p values of draws are exact
(Hemerik and Goeman 2018, "Exact testing with random permutations").

*gaussian*: both factors of W are Gaussian. The scores ignore a circuit's size, so that the same draws serve all
heads that stand between the same left and right.

Each draw needs products with d_head on both sides alone (`Grams`): the circuit's trace and non-zero eigenvalues
are those of columns^T rows, its sum of squares is tr(rows^T rows columns^T columns).
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor

from pipeline.circuits.chance.random_matrices import gaussian, orthogonal
from pipeline.circuits.scores.grams import Grams

Name = TypeVar("Name", bound=Hashable)
Functions = Mapping[Name, Callable[[Grams], Tensor]]  # scores of circuits, by any name
AT_ONCE = 128  # Gaussian matrices held at a time


def balanced(
    read: Float[Tensor, "d_model d_head"], written: Float[Tensor, "d_model d_head"]
) -> tuple[Float64[Tensor, "d_model rank"], Float64[Tensor, "d_model rank"]]:
    """Split a head's matrix W = read @ written^T into A S and B of its singular value decomposition A S B^T.

    Args:
        read: W_V or W_Q.
        written: W_O^T or W_K.

    Returns:
        The first's columns are orthogonal, the second's orthonormal.
    """
    A, read_small = torch.linalg.qr(read.double())
    B, written_small = torch.linalg.qr(written.double())
    left, singular_values, right = torch.linalg.svd(read_small @ written_small.mT, full_matrices=False)
    return A @ (left * singular_values), B @ right.mT


def rotations(
    circuit: Grams, functions: Functions[Name], draws: int, generator: Generator
) -> dict[Name, Float64[Tensor, " draw"]]:
    """Draw scores of one head's circuit under *rotation*.

    -O is as probable as O, and changes the sign of every score: each draw counts with both signs, which makes the
    mean exactly 0.

    Args:
        circuit: the model's left and right, `through` the head's `balanced` halves.
        functions: the scores; each must change its sign with the circuit's.
        draws: an even number.
        generator: decides the draws.
    """
    turned = circuit.turned(orthogonal(draws // 2, circuit.cross.shape[-1], generator))
    return {name: _with_both_signs(score(turned)) for name, score in functions.items()}


def of_trace(
    matrix: Float64[Tensor, "*heads d_head d_head"],
) -> tuple[Float64[Tensor, "*heads"], Float64[Tensor, "*heads"]]:
    """Return mean and deviation, under *rotation*, of a score that is the trace of a matrix turned on one side.

    tr(O M) has mean 0, as -O is as probable as O, and variance |M|^2 / d_head, as entries of O are uncorrelated, of
    mean square 1 / d_head.

    Args:
        matrix: M, between a head's `balanced` halves.
    """
    deviation = torch.linalg.matrix_norm(matrix) / matrix.shape[-1] ** 0.5
    return torch.zeros_like(deviation), deviation


def gaussians(
    model: Grams, d_head: int, functions: Functions[Name], draws: int, generator: Generator
) -> dict[Name, Float64[Tensor, " draw"]]:
    """Draw scores of the circuits of random heads under *gaussian*, with both signs as `rotations`.

    Args:
        model: left and right.
        d_head: rank of the random heads.
        functions: the scores; none may depend on how large the circuit's entries are.
        draws: an even number.
        generator: decides the draws.
    """
    parts = []
    for part in torch.arange(draws // 2).split(AT_ONCE):
        read, written = gaussian(2, len(part), len(model.cross), d_head, generator=generator)
        circuits = model.through(read, written)
        parts.append(torch.stack([score(circuits) for score in functions.values()]))
    return {name: _with_both_signs(scores) for name, scores in zip(functions, torch.cat(parts, -1), strict=True)}


def relabelled_sd(circuit: Grams) -> Float64[Tensor, "..."]:
    """Standard deviation of `diagonal_z` where the tokens of one side change places; its mean is 0.

    For a random permutation s, the sum of M[t, s(t)] has the variance sum D^2 / (size - 1), with D the circuit
    less the means of its rows and of its columns, and is nearly normal.

    Source: Hoeffding 1951, "A combinatorial central limit theorem".
    """
    squares = (circuit.rows * circuit.columns).sum((-2, -1)).clamp_min(0)
    return (squares / (circuit.size - 1)).sqrt() / circuit.size / circuit.deviation


def _with_both_signs(scores: Float64[Tensor, " half"]) -> Float64[Tensor, " draw"]:
    return torch.cat([scores, -scores])
