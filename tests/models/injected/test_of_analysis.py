import pytest
import torch

from pipeline.circuits.transformer.forward import forward
from pipeline.models.injected.bug import CLEAN
from pipeline.models.injected.of_analysis import OF_ANALYSIS
from pipeline.models.tiny import D_VOCAB

TOKENS = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bug", OF_ANALYSIS, ids=lambda bug: bug.name)
def test_a_model_is_read_and_runs_as_without_the_bug(bug, read):
    for name in bug.models:
        with read(CLEAN, name) as weights:
            clean = forward(weights, TOKENS)
        with read(bug, name) as weights:
            found = forward(weights, TOKENS)
        assert torch.equal(found.logits, clean.logits)
        assert torch.equal(found.scores, clean.scores)
