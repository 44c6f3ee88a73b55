import pytest
import torch
from torch.testing import assert_close

from pipeline.circuits.causes.class_means import class_means
from pipeline.circuits.resampling import resampled_counts

NAN = torch.nan
VALUES = torch.tensor([[[NAN, 1.0, 3.0], [NAN, 5.0, 7.0]], [[NAN, 0.0, 0.0], [NAN, 2.0, 2.0]]])
CLASSES = torch.tensor([[[1, 1, 1], [1, 1, 1]], [[0, 0, 1], [0, 1, 1]], [[1, 0, 0], [1, 0, 0]]]).bool()


def counts(sentences=2, resamples=200):
    return resampled_counts(sentences, resamples, torch.Generator().manual_seed(0))


def test_tokens_count_alike_whatever_their_sentence():
    means = class_means(VALUES, CLASSES, counts(), 0.95)
    assert_close(means.value[:, :2], torch.tensor([[4.0, 5.0], [1.0, 4 / 3]], dtype=torch.float64))
    assert means.n.tolist() == [4, 3, 0]


def test_a_class_without_tokens_has_no_mean():
    means = class_means(VALUES, CLASSES, counts(), 0.95)
    for part in (means.value, means.lo, means.hi):
        assert part[:, 2].isnan().all()


def test_the_interval_spans_what_resampled_sentences_give():
    # Both sentences, or one of them twice: the mean is 4, 2 or 6, each pure sample in a quarter of the draws.
    means = class_means(VALUES[0], CLASSES, counts(resamples=2000), 0.95)
    assert means.lo[0].item() == pytest.approx(2, abs=0.2)
    assert means.hi[0].item() == pytest.approx(6, abs=0.2)


def test_sentences_that_agree_leave_no_doubt_and_one_sentence_leaves_all():
    same = torch.tensor([[NAN, 2.0, 4.0]]).expand(4, 3)
    kinds = torch.ones(1, 4, 3, dtype=torch.bool)
    sure = class_means(same, kinds, counts(4), 0.95)
    assert sure.lo.item() == pytest.approx(3)
    assert sure.hi.item() == pytest.approx(3)
    alone = class_means(same[:1], kinds[:, :1], counts(1), 0.95)
    assert alone.value.item() == pytest.approx(3)
    assert alone.lo.isnan().all()
    assert alone.hi.isnan().all()


def test_a_row_without_values_leaves_the_others_theirs():
    values = torch.stack([VALUES[0], torch.full_like(VALUES[0], NAN)])
    means = class_means(values, CLASSES[:2], counts(), 0.95)
    assert_close(means.value[0], torch.tensor([4.0, 5.0], dtype=torch.float64))
    assert means.value[1].isnan().all()
    assert means.n.tolist() == [4, 3]
