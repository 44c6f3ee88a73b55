"""What chance gives for the likeness of two models' heads: the other model's head, turned at random in its stream.

Turned by uniform orthogonal matrices, one where it reads and one where it writes, a head A S B^T with singular values S
keeps them, and its A and B become uniform: the same draws of both serve every head.
"""

from einops import einsum
from jaxtyping import Float64
from torch import Generator, Tensor

from pipeline.circuits.chance.null_composition import singular_values
from pipeline.circuits.chance.random_matrices import orthonormal
from pipeline.circuits.vocabulary.alignment import Circuits, Kernel


def rotations(
    one: Circuits, others: Circuits, E: Kernel, F: Kernel, draws: int, generator: Generator
) -> Float64[Tensor, "draw head_b"]:
    """Correlation of one head's circuit with each of the other model's, these turned.

    Args:
        one: of a single head.
        others: of the other model.
        E: as in `alignment.compared_circuits`.
        F: as there.
        draws: how many.
        generator: decides the draws.
    """
    sizes = singular_values(others.A, others.B)
    A, B = (orthonormal(draws, others.A.shape[1], sizes.shape[1], generator) for _ in range(2))
    mean_a = (E.mean_a @ one.A[0]) @ (F.mean_a @ one.B[0])
    square_a = ((one.A[0].T @ E.of_a @ one.A[0]) * (one.B[0].T @ F.of_a @ one.B[0])).sum()
    products = ((one.A[0].T @ E.across) @ A) * ((one.B[0].T @ F.across) @ B)
    mean_b = ((E.mean_b @ A) * (F.mean_b @ B)) @ sizes.T
    squares = (A.mT @ (E.of_b @ A)) * (B.mT @ (F.of_b @ B))
    square_b = einsum(sizes, squares, sizes, "head left, draw left right, head right -> draw head")
    covariance = products.sum(1) @ sizes.T - mean_a * mean_b
    return covariance / ((square_a - mean_a**2) * (square_b - mean_b**2)).sqrt()
