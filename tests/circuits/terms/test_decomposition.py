from types import SimpleNamespace

import pytest
import torch

from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.terms.decomposition import TOTAL, decompose
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.attention import pattern as attention
from pipeline.circuits.transformer.attention import scores
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights

N_HEADS, BATCH, N = 2, 12, 7


@pytest.fixture(scope="module")
def layers():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) / 2 for name in ("W_Q", "W_K", "W_V")}
    W_O = random(2, N_HEADS, 4, 8)
    weights = Weights("queries_and_keys", random(5, 8), random(8, 5), W_O=W_O, W_pos=random(N, 8), **tall)
    tokens = torch.randint(5, (BATCH, N), generator=generator)
    trace = forward(weights, tokens)
    counts = resampled_counts(BATCH, 200, generator)
    layers = walk(weights, tokens, at_once=BATCH, apart=2)
    return trace, [apart(layer.queries_keys(), tokens, counts) for layer in layers]


def apart(sources, tokens, counts):
    """A layer's heads taken apart, their tensors stacked."""
    parts = []
    for head in range(N_HEADS):
        of_head = {name: (query[:, head], key[:, head]) for name, (query, key) in sources.items()}
        parts.append(decompose(of_head, tokens, counts, counts[:, : BATCH // 2], 0.95, begins=False)["all"])
    names = ("value", "lo", "hi", "offset_score", "offset_pattern")
    stacked = {name: torch.stack([getattr(part, name) for part in parts]) for name in names}
    return SimpleNamespace(pairs=parts[0].pairs, statistics=parts[0].statistics, **stacked)


def of(part, statistic, component="all"):
    """{(query source, key source): [head]} of one statistic."""
    values = part.value[..., part.statistics.index((statistic, component))]
    return dict(zip(part.pairs, values.movedim(-1, 0), strict=True))


def test_terms_by_source_then_by_stream_then_all(layers):
    _, (first, second) = layers
    assert len(first.pairs) == 2**2 + 3 + 1  # position-position is in both groupings
    assert len(second.pairs) == (2 + N_HEADS) ** 2 + 3 + 1
    assert second.pairs[-1] == TOTAL
    assert first.value.shape == (N_HEADS, 8, len(first.statistics))
    assert first.offset_score.shape == (N_HEADS, 8, N)


@pytest.mark.parametrize(("statistic", "of_streams"), [("share", "all"), ("naive_share", "streams")])
def test_shares_sum_to_one_by_source_and_by_stream(layers, statistic, of_streams):
    for part in layers[1]:
        shares = {pair: value for pair, value in of(part, statistic).items() if pair != TOTAL}
        by_source = sum(value for pair, value in shares.items() if "stream" not in pair)
        torch.testing.assert_close(by_source, torch.ones(N_HEADS, dtype=torch.float64))
        streams = of(part, statistic, of_streams)
        grouped = [streams[query, key] for query in ("stream", "position") for key in ("stream", "position")]
        torch.testing.assert_close(sum(grouped), torch.ones(N_HEADS, dtype=torch.float64))
    first = layers[1][0]  # nothing but tokens in the stream yet
    torch.testing.assert_close(
        of(first, statistic, of_streams)["stream", "position"], of(first, statistic)["token", "position"]
    )


def test_positions_alone_vary_with_positions_alone(layers):
    for part in layers[1]:
        for component in ("between_sentences", "residual"):
            assert of(part, "variance", component)["position", "position"].abs().max() < 1e-12
            assert of(part, "variance", component)[TOTAL].min() > 0
        place = part.pairs.index(("position", "position"))
        for name in (("mean", "all"), ("variance", "all"), ("absolute_mean", "all")):
            ends = (part.hi - part.lo)[:, place, part.statistics.index(name)]
            torch.testing.assert_close(ends, torch.zeros(N_HEADS, dtype=torch.float64), atol=1e-12, rtol=0)


def test_intervals_hold_their_values(layers):
    for part in layers[1]:
        known = ~part.value.isnan()
        assert (part.lo <= part.value + 1e-9)[known].all()
        assert (part.hi >= part.value - 1e-9)[known].all()
        assert (part.hi > part.lo)[:, part.pairs.index(TOTAL), part.statistics.index(("divergence", "all"))].all()


def test_mean_attention_by_offset_is_that_of_the_patterns(layers):
    trace, parts = layers
    for layer, part in enumerate(parts):
        for offset in range(N):
            diagonal = trace.pattern[:, layer].diagonal(-offset, -2, -1)[..., offset == 0 :]
            torch.testing.assert_close(part.offset_pattern[:, offset].float(), diagonal.mean((0, 2)))


def test_the_statistic_of_all_is_the_mean_of_sentences_by_weight(sink):
    for part in sink[1][True].values():
        for statistic, (value, weight) in part.sentences.items():
            mean = (value * weight).sum(-1) / weight.sum(-1)
            whole = part.offset_score[:, 0]
            if statistic != "diagonal":
                whole = part.value[:, part.statistics.index((statistic, "all"))]
            known = ~whole.isnan()
            assert known.sum() == (4 if statistic == "naive_share" else len(known))  # a naive share is in one set
            torch.testing.assert_close(mean[known], whole[known], atol=1e-12, rtol=0)


@pytest.fixture(scope="module")
def sink():
    """A head that tokens choose keys of, but for the first, which what stands there makes it look at."""
    generator = torch.Generator().manual_seed(1)
    query, key = torch.randn(2, BATCH, N, 4, generator=generator, dtype=torch.float64)
    nothing, unit = torch.zeros(BATCH, N, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[0]
    place = nothing.clone()
    place[:, 0] = 30 * unit
    tokens = torch.randint(3, (BATCH, N), generator=generator)
    sources = {"token": (query, key), "position": (unit.expand_as(place), place)}
    resampled = (resampled_counts(n, 20, generator) for n in (BATCH, BATCH // 2))
    chosen = (*resampled, 0.95)
    pattern = attention(scores(*(sum(side) for side in zip(*sources.values(), strict=True))))
    return pattern, {begins: decompose(sources, tokens, *chosen, begins) for begins in (False, True)}


def test_a_model_without_begin_has_its_statistics_over_all_keys_alone(sink):
    _, found = sink
    assert list(found[False]) == ["all"]
    assert list(found[True]) == ["all", "no_begin"]
    assert torch.equal(found[False]["all"].value.nan_to_num(), found[True]["all"].value.nan_to_num())


def test_without_begin_its_column_explains_nothing(sink):
    """Of all keys the column is most of the variance; without it, tokens make what is left and attention follows."""
    for statistic in ("share", "naive_share", "divergence", "absolute_mean"):
        everywhere, elsewhere = (of(part, statistic) for part in sink[1][True].values())
        assert everywhere["position", "position"] > elsewhere["position", "position"]
        assert elsewhere["position", "position"].item() == pytest.approx(0, abs=1e-12)
    assert of(sink[1][True]["all"], "share")["position", "position"] > 0.5
    shares = of(sink[1][True]["no_begin"], "share")
    assert (shares["token", "token"] + shares["position", "token"]).item() == pytest.approx(1)


def test_the_distance_has_its_share_of_the_whole_alone(sink):
    for part in sink[1][True].values():
        shares = of(part, "distance_share")
        assert [pair for pair, value in shares.items() if not value.isnan()] == [TOTAL]
        place = part.pairs.index(TOTAL), part.statistics.index(("distance_share", "all"))
        assert part.lo[place] < shares[TOTAL] < part.hi[place]


def test_without_begin_attention_is_what_of_it_does_not_rest_there(sink):
    pattern, found = sink
    rest = pattern[:, 1:, 1:] / pattern[:, 1:, 1:].sum(-1, keepdim=True)
    profile = found[True]["no_begin"].offset_pattern
    assert profile.shape == (N - 1,)
    for offset in range(N - 1):
        # The first query that remains has one key alone, itself.
        diagonal = rest.diagonal(-offset, -2, -1)[:, offset == 0 :]
        assert profile[offset].item() == pytest.approx(diagonal.mean().item())


def test_without_begin_a_share_is_that_of_its_definition(sink):
    """Rows are centred over the keys that remain, query by query."""
    generator = torch.Generator().manual_seed(1)
    query, key = torch.randn(2, BATCH, N, 4, generator=generator, dtype=torch.float64)
    term, total = scores(query, key), scores(query + torch.eye(4)[0], key)
    products = squares = 0.0
    for b in range(BATCH):
        for q in range(1, N):
            row, whole = (x[b, q, 1 : q + 1] - x[b, q, 1 : q + 1].mean() for x in (term, total))
            products, squares = products + row @ whole, squares + whole @ whole
    assert of(sink[1][True]["no_begin"], "share")["token", "token"].item() == pytest.approx((products / squares).item())
