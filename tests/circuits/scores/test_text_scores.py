import pytest
import torch
from pipeline.circuits.scores.text_scores import prefix_scores, unigram_scores

from pipeline.circuits.transformer.weights import Weights

D_VOCAB = 5
EYE = torch.eye(D_VOCAB, dtype=torch.float64)


def one_hot(ov, n_layers=1):
    """A model whose stream is the vocabulary, with one head a layer: every matrix the identity but for W_V."""
    same = EYE.expand(n_layers, 1, -1, -1)
    return Weights("none", W_E=EYE, W_U=EYE, W_Q=same, W_K=same, W_V=ov.expand(n_layers, 1, -1, -1), W_O=same)


def test_a_token_counts_as_often_as_it_occurs():
    copies_some = torch.diag(torch.tensor([0, 1, 0, 1, 1]).double())  # a row of zeros is no copy
    text = torch.tensor([[0, 1, 1, 2], [0, 3, 2, 2]])
    found = unigram_scores(one_hot(copies_some), text, first=1, tile=2)["copying", "top1_unigram"]
    assert found.value.item() == pytest.approx(3 / 6)
    assert found.sentences[:, 0, 0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert found.chance == 1 / D_VOCAB


def test_every_token_alike_gives_the_share_over_the_vocabulary():
    generator = torch.Generator().manual_seed(0)
    ov = torch.randn(D_VOCAB, D_VOCAB, generator=generator, dtype=torch.float64)
    found = unigram_scores(one_hot(ov), torch.arange(D_VOCAB)[None], first=0, tile=3)["copying", "top1_unigram"]
    assert found.value.item() == (ov.argmax(-1) == torch.arange(D_VOCAB)).double().mean()


def test_a_head_fed_by_one_that_looks_back_matches_prefixes():
    found = prefix_scores(one_hot(2 * EYE, n_layers=3), previous=torch.tensor([[0.5], [0.25], [1.0]]))
    trace, ratio = (found["induction", f"prefix_{name}"].value[:, 0] for name in ("trace", "ratio"))
    assert trace[1:].tolist() == pytest.approx([0.5 * 2 * D_VOCAB, 0.75 * 2 * D_VOCAB])
    assert ratio[1:].tolist() == pytest.approx([1, 1])
    assert trace[0].isnan()
    assert ratio[0].isnan()


def test_a_head_that_turns_what_it_carries_around_matches_the_opposite():
    found = prefix_scores(one_hot(-EYE, n_layers=2), previous=torch.ones(2, 1))
    assert found["induction", "prefix_ratio"].value[1].item() == pytest.approx(-1)
