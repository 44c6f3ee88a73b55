import pytest
import torch

from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.scores.score import Score, pooled, stacked

NAN = torch.nan
SENTENCES = torch.tensor([[1.0, 4.0], [2.0, NAN], [NAN, NAN]], dtype=torch.float64)
WEIGHT = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 0.0]], dtype=torch.float64)


def test_a_set_is_the_weighted_mean_of_its_sentences():
    assert pooled(SENTENCES, WEIGHT).value.tolist() == pytest.approx([(1 + 3 * 2) / 4, 4.0])


def test_no_sentence_no_score():
    assert pooled(SENTENCES[2:], WEIGHT[2:]).value.isnan().all()


def test_weights_that_heads_share():
    score = pooled(SENTENCES[:1].expand(2, 2), torch.tensor([[1.0], [5.0]], dtype=torch.float64))
    assert score.weight.tolist() == [[1, 1], [5, 5]]


def test_the_interval_is_that_of_the_mean():
    """The standard error of a mean of n is sd / sqrt(n); with enough sentences the bootstrap finds it."""
    generator = torch.Generator().manual_seed(0)
    sentences = torch.randn(400, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 10.0])
    score = pooled(sentences, torch.ones(400, 1, dtype=torch.float64))
    lo, hi = score.interval(resampled_counts(400, 2000, generator), 0.95)
    torch.testing.assert_close((lo + hi) / 2, score.value, atol=0.05, rtol=0.05)
    torch.testing.assert_close(hi - lo, 2 * 1.96 * sentences.std(0) / 20, atol=0, rtol=0.1)


def test_equal_sentences_leave_no_doubt():
    score = pooled(torch.full((5, 1), 0.3, dtype=torch.float64), torch.arange(1.0, 6.0).double()[:, None])
    lo, hi = score.interval(resampled_counts(5, 50, torch.Generator().manual_seed(0)), 0.95)
    assert (lo.item(), hi.item()) == pytest.approx((0.3, 0.3))


def test_without_sentences_there_is_no_interval():
    lo, hi = Score(torch.ones(2)).interval(torch.ones(3, 4), 0.95)
    assert lo.isnan().all()
    assert hi.isnan().all()


def test_a_wider_confidence_gives_a_wider_interval():
    """Of a normal distribution, 50 % lie within 0.6745 deviations of the mean, 95 % within 1.96."""
    generator = torch.Generator().manual_seed(0)
    score = pooled(torch.randn(400, 1, generator=generator).double(), torch.ones(400, 1).double())
    counts = resampled_counts(400, 4000, generator)
    (lo, hi), (least, most) = score.interval(counts, 0.5), score.interval(counts, 0.95)
    assert ((hi - lo) / (most - least)).item() == pytest.approx(0.6745 / 1.96, rel=0.1)


def test_sentences_need_resamples_for_an_interval():
    with pytest.raises(ValueError, match="interval of a score of 3 sentences: give counts"):
        pooled(SENTENCES, WEIGHT).interval(None, 0.95)


def test_scores_of_one_source_each_become_those_of_all():
    of_sources = [
        {
            ("a", "b"): pooled(SENTENCES + source, WEIGHT, 0.25, 1.0),
            ("c", "d"): Score(torch.tensor([1.0, 2.0]) * source),
        }
        for source in range(3)
    ]
    scores = stacked(of_sources)
    assert scores["c", "d"].value.tolist() == [[0, 0], [1, 2], [2, 4]]
    assert scores["c", "d"].sentences is None
    of_sentences = scores["a", "b"]
    assert (of_sentences.chance, of_sentences.ideal) == (0.25, 1.0)
    assert of_sentences.value.shape == (3, 2)
    for source, score in enumerate(of_sources):
        alone = score["a", "b"]
        torch.testing.assert_close(of_sentences.value[source], alone.value)
        torch.testing.assert_close(of_sentences.sentences[:, source], alone.sentences, equal_nan=True)
        torch.testing.assert_close(of_sentences.weight[:, source], alone.weight)


def test_a_draw_is_the_weighted_mean_of_what_is_drawn():
    score = pooled(SENTENCES, WEIGHT)
    drawn = score.of_draws(torch.tensor([[1.0, 0, 0], [1, 2, 0]], dtype=torch.float64))
    assert drawn.flatten().tolist() == pytest.approx([1, 4, (1 + 2 * 3 * 2) / 7, 4])
    assert Score(torch.tensor([5.0])).of_draws(torch.ones(2, 3)).tolist() == [[5.0], [5.0]]
