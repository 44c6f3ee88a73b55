import torch

from pipeline.benchmarks import made_up
from pipeline.circuits.vocabulary.full_circuits import full_circuits, readers, responses


def generator():
    return torch.Generator().manual_seed(0)


def test_layers_differ_and_share_the_embedding():
    first, second, again = (made_up.layer(50, 8, 2, 4, 0.9, layer, generator()) for layer in (0, 1, 1))
    assert torch.equal(first.W_E, second.W_E)
    assert not torch.equal(first.W_Q, second.W_Q)
    assert torch.equal(second.W_O, again.W_O)
    assert first.W_Q.shape == (1, 2, 8, 4)
    assert first.W_O.shape == (1, 2, 4, 8)
    assert torch.equal(first.W_U, first.W_E.T)


def test_both_circuits_of_a_layer_have_the_spectrum_asked_for():
    decay = 0.5
    weights = made_up.layer(20_000, 512, 1, 6, decay, 0, generator())
    for sides in full_circuits(responses(weights, (0, 0), readers(weights))).values():
        left, right = (torch.linalg.qr(side.formed()).R for side in sides)
        singular_values = torch.linalg.svdvals(left @ right.T)
        torch.testing.assert_close(
            singular_values / singular_values[0], decay ** torch.arange(6.0).double(), rtol=0.3, atol=0
        )


def test_factors_have_the_spectrum_and_the_spread_asked_for():
    spectrum = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)
    for P in made_up.circuit(100_000, 3, spectrum, 0.0, False, generator()):
        torch.testing.assert_close(P.std(0), spectrum, rtol=0.02, atol=0)
    P, Q = made_up.circuit(50_000, 40, torch.ones(100, dtype=torch.float64), 0.5, True, generator())
    assert P.shape == Q.shape == (50_000, 40)
    # Norms vary by chance as well, but little in 40 dimensions, and alike on both sides: it is one embedding.
    logs = torch.stack([P.norm(dim=1).log(), Q.norm(dim=1).log()])
    torch.testing.assert_close(logs.std(1), torch.full((2,), 0.5, dtype=torch.float64), rtol=0.1, atol=0)
    assert torch.corrcoef(logs)[0, 1] > 0.9
