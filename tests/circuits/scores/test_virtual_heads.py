import pytest
import torch

from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.virtual_heads import loss_without, mixed_z, norm_share, virtual_z
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

N_HEADS = 3


def random_weights():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64) / 2  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    W_O = random(2, N_HEADS, 4, 8)
    return Weights("queries_and_keys", random(11, 8), random(8, 11), W_O=W_O, W_pos=random(6, 8), **tall)


W = random_weights()
TOKENS = torch.randint(0, 11, (2, 6), generator=torch.Generator().manual_seed(1))
TRACE = forward(W, TOKENS)
HELD = Held.of(W, TRACE)
X = W.W_E[TOKENS]


def dense_paths():
    """What every pair of heads adds to the logits, from patterns and dense products alone."""
    ov = W.W_V @ W.W_O
    return {
        (h1, h2): TRACE.pattern[:, 1, h2] @ TRACE.pattern[:, 0, h1] @ X @ ov[0, h1] @ ov[1, h2] @ W.W_U
        for h1 in range(N_HEADS)
        for h2 in range(N_HEADS)
    }


def logits(z, head):
    return z @ W.W_O[1, head] @ W.W_U


@pytest.mark.parametrize(("h1", "h2"), dense_paths())
def test_the_path_is_the_product_of_patterns_and_of_ov_circuits(h1, h2):
    torch.testing.assert_close(logits(virtual_z(HELD, (0, h1), (1, h2)), h2), dense_paths()[h1, h2])


def test_direct_paths_single_heads_and_virtual_heads_sum_to_the_logits():
    single = sum(
        TRACE.pattern[:, layer, head] @ X @ W.W_V[layer, head] @ W.W_O[layer, head]
        for layer in range(2)
        for head in range(N_HEADS)
    )
    virtual = sum(logits(virtual_z(HELD, (0, h1), (1, h2)), h2) for h1 in range(N_HEADS) for h2 in range(N_HEADS))
    torch.testing.assert_close((X + single) @ W.W_U + virtual, TRACE.logits)


def test_mixed_adds_the_second_heads_own_reading():
    alone = TRACE.pattern[:, 1, 2] @ X @ W.W_V[1, 2]
    torch.testing.assert_close(mixed_z(HELD, (0, 1), (1, 2)), virtual_z(HELD, (0, 1), (1, 2)) + alone)


def test_removing_every_path_leaves_the_loss_of_what_remains():
    rest = TRACE.logits - sum(dense_paths().values())
    expected = token_losses(rest, TOKENS)[:, 1:].mean().item()
    assert loss_without(TRACE.logits, TRACE.logits - rest, TOKENS).mean() == pytest.approx(expected)


def test_a_path_to_nowhere_changes_no_loss():
    loss = token_losses(TRACE.logits, TOKENS)[:, 1:].mean().item()
    assert loss_without(TRACE.logits, torch.zeros_like(TRACE.logits), TOKENS).mean() == pytest.approx(loss)


def test_norm_share_compares_frobenius_norms():
    layer = torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])
    assert norm_share(layer, layer) == pytest.approx(1)
    assert norm_share(torch.tensor([[[0.0, 0.0], [0.0, 1.0]]]), layer) == pytest.approx(1 / 5)
