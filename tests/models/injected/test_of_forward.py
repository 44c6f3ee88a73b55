import pytest
import torch

from pipeline.circuits.transformer.attention import pattern as right
from pipeline.circuits.transformer.forward import forward
from pipeline.models.injected.bug import CLEAN
from pipeline.models.injected.of_forward import OF_FORWARD, PATTERN
from pipeline.models.tiny import D_VOCAB

TOKENS = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bug", OF_FORWARD, ids=lambda bug: bug.name)
def test_a_bug_changes_our_forward_pass_and_not_the_models_own(bug, read, owns):
    for name in bug.models:
        with read(CLEAN, name) as weights:
            clean = forward(weights, TOKENS).logits
        expected = owns[name](TOKENS)
        with read(bug, name) as weights:
            assert (forward(weights, TOKENS).logits - clean).abs().max() > 1e-7, name
            found = owns[name](TOKENS)
        assert all(torch.equal(value, getattr(expected, field)) for field, value in vars(found).items())


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("a query sees the next key", [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]]),
        ("a query does not see its own key", [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]),
        ("mask after softmax", [[1 / 3, 0, 0], [1 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3]]),
        ("softmax over queries", [[1 / 3, 0, 0], [1 / 3, 0.5, 0], [1 / 3, 0.5, 1]]),
    ],
)
def test_patterns_of_equal_scores(name, rows):
    (bug,) = (bug for bug in OF_FORWARD if bug.name == name)
    torch.testing.assert_close(bug.functions[PATTERN](right)(torch.zeros(3, 3)), torch.tensor(rows))
