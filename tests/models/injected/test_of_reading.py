import pytest
import torch

from pipeline.models.injected.bug import CLEAN
from pipeline.models.injected.of_reading import OF_READING


@pytest.mark.parametrize("bug", OF_READING, ids=lambda bug: bug.name)
def test_a_bug_makes_other_weights_of_every_model_it_is_of(bug, read):
    assert not bug.functions
    for name in bug.models:
        with read(CLEAN, name) as clean, read(bug, name) as wrong:
            assert any(differ(value, getattr(wrong, field)) for field, value in vars(clean).items()), name


def differ(clean, wrong):
    if isinstance(clean, torch.Tensor) and isinstance(wrong, torch.Tensor):
        return clean.shape != wrong.shape or not torch.equal(clean, wrong)
    return clean is not wrong and clean != wrong


def test_shared_keys_are_tiled(read):
    """Of four heads the first two share keys; tiled, the first and the third would."""
    (bug,) = (bug for bug in OF_READING if bug.name == "shared keys and values tiled, not repeated")
    with read(CLEAN, "llama") as clean, read(bug, "llama") as wrong:
        assert torch.equal(wrong.W_K, clean.W_K[:, [0, 2, 1, 3]])
        assert torch.equal(wrong.W_V, clean.W_V[:, [0, 2, 1, 3]])


def test_a_matrix_of_all_heads_is_transposed(read):
    (bug,) = (bug for bug in OF_READING if bug.name == "W_Q transposed")
    with read(CLEAN, "llama") as clean, read(bug, "llama") as wrong:
        whole, transposed = (torch.cat(list(weights.W_Q[1]), -1) for weights in (clean, wrong))
        assert torch.equal(transposed, whole.mT)
