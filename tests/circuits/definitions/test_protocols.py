import pytest
import torch
from constructions import construction, network

from pipeline.circuits.definitions.protocols import PROTOCOLS, Sequences, least, protocol_scores, subsamples
from pipeline.circuits.scores.score import Score, pooled
from pipeline.models.known_heads.known import weights_of


def sequences():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(13, generator=generator) + 1 for _ in range(3)]
    periodic = {
        period: torch.stack([torch.cat([torch.zeros(1, dtype=int), *[row[:period]] * 4])[:12] for row in rows])
        for period in (5, 3)
    }
    return Sequences(periodic[3], periodic[5], periodic)


@pytest.fixture(scope="module")
def shortcut():
    """A head that looks four back, whatever is there: as if it matched prefixes on a period of 5."""
    model = network(construction("positional_shortcut", offset=4, position_gain=12.0)).float()
    return protocol_scores(weights_of(model), sequences(), batch=2, tile=8)


def test_a_shortcut_is_seen_on_several_periods_alone(shortcut):
    every = torch.ones(1, 3, dtype=torch.float64)
    assert least(shortcut["induction", "mass", "one_period"], every).item() > 0.99
    assert least(shortcut["induction", "mass", "least_of_periods"], every).item() < 0.01


def test_every_metric_is_measured_in_each_of_its_ways(shortcut):
    found = {metric: {protocol for name, _, protocol in shortcut if name == metric} for metric in PROTOCOLS}
    assert found == {metric: set(protocols) for metric, protocols in PROTOCOLS.items()}
    assert len(shortcut["induction", "stripe", "least_of_periods"]) == 2
    assert ("induction", "prefix_trace", "weights") in shortcut
    assert ("copying", "top1_unigram", "text") in shortcut


def test_the_least_of_draws():
    """Two sentences; without the first, the second score is the lesser one."""
    one = pooled(torch.tensor([[[1.0]], [[4.0]]]).double(), torch.ones(2, 1, 1).double())
    other = Score(torch.tensor([[2.0]], dtype=torch.float64))
    assert least([one, other], torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).double()).flatten().tolist() == [
        1,
        2,
        2,
    ]


def test_subsamples_draw_so_many_sentences_once_each():
    counts = subsamples(6, [1, 4], 3, torch.Generator().manual_seed(0))
    assert counts.sum(-1).tolist() == [6, 1, 1, 1, 4, 4, 4]
    assert set(counts.flatten().tolist()) == {0, 1}
    assert len(counts[4:].unique(dim=0)) > 1
