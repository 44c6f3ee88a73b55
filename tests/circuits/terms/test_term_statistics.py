import math

import pytest
import torch

from pipeline.circuits.terms.term_statistics import (
    Entries,
    HeadScores,
    log_normalisers,
    sentence_statistics,
    term_statistics,
    term_sums,
)
from pipeline.circuits.transformer.attention import pattern

BATCH, N = 3, 6
TOKENS = torch.tensor([[0, 1, 0, 2, 1, 0], [3, 3, 3, 1, 3, 1], [0, 1, 2, 3, 4, 5]])
ONCE = torch.ones(1, BATCH, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TERMS = random(4, BATCH, N, N)  # scores that sum to the head's


def summed(terms, head):
    """{name: [term ...]} of terms of a head."""
    masked = head.scores.masked_fill(torch.ones(N, N).triu(1).bool(), -torch.inf)
    before, _ = log_normalisers(masked, torch.zeros_like(masked))
    sums = [term_sums(head.entries.of(term), head, log_normalisers(masked, term)[0] - before) for term in terms]
    return {name: torch.stack([one[name] for one in sums]) for name in sums[0]}


def statistics(terms=TERMS, counts=ONCE, tokens=TOKENS):
    """{statistic: [term]} of terms that together make a head's scores; variance by component."""
    head = HeadScores(terms.sum(0), tokens)
    found = term_statistics(summed(terms, head), head, {"all": list(range(len(terms)))}, counts)
    return {component if component != "all" else name: value[0] for (name, component), value in found.items()}


def rows(term):
    """Every causal row of every sentence: (sentence, query, its scores up to the query)."""
    return [(b, q, term[b, q, : q + 1]) for b in range(len(term)) for q in range(term.shape[-1])]


def centred(term):
    return torch.cat([row - row.mean() for _, _, row in rows(term)])


def by_loops(term, total, tokens=TOKENS):
    """The same statistics from their definitions."""
    entries = torch.cat([row for _, _, row in rows(term)])
    differences, divergences = [], []
    for (b, q, row), (_, _, whole) in zip(rows(term), rows(total), strict=True):
        same = tokens[b, :q] == tokens[b, q]
        if same.any() and not same.all():
            differences.append(row[:q][same].mean() - row[:q][~same].mean())
        with_term, without = whole.log_softmax(0), (whole - row).log_softmax(0)
        divergences += [(with_term.exp() * (with_term - without)).sum()] * (q > 0)
    return {
        "mean": entries.mean(),
        "variance": entries.var(correction=0),
        "absolute_mean": entries.abs().mean(),
        "share": centred(term) @ centred(total) / (centred(total) @ centred(total)),
        "divergence": torch.stack(divergences).mean(),
        "same_token_preference": torch.stack(differences).mean(),
    }


@pytest.mark.parametrize("place", range(len(TERMS)))
def test_statistics_are_those_of_their_definitions(place):
    found = statistics()
    for name, expected in by_loops(TERMS[place], TERMS.sum(0)).items():
        torch.testing.assert_close(found[name][place], expected, msg=name)


def test_shares_of_terms_that_make_the_scores_sum_to_one():
    found = statistics()
    assert found["share"].sum().item() == pytest.approx(1)
    assert found["naive_share"].sum().item() == pytest.approx(1)
    squares = torch.stack([centred(term) @ centred(term) for term in TERMS])
    torch.testing.assert_close(found["naive_share"], squares / squares.sum())


def test_the_share_knows_that_two_terms_cancel():
    """A term, its opposite and a third: the third makes the scores, however large the two are."""
    found = statistics(torch.stack([10 * TERMS[0], -10 * TERMS[0], TERMS[1]]))
    assert found["share"][:2].sum().item() == pytest.approx(0, abs=1e-9)
    assert found["share"][2].item() == pytest.approx(1)
    assert found["naive_share"][2] < 0.01


def test_what_a_row_shares_counts_for_nothing_in_attention():
    constant = 5 * random(BATCH, N, 1, seed=1).expand(-1, -1, N)
    found = statistics(torch.stack([TERMS[0], constant]))
    assert found["variance"][1] > found["variance"][0]
    for name, expected in {"share": 0, "naive_share": 0, "divergence": 0, "same_token_preference": 0}.items():
        assert found[name][1].item() == pytest.approx(expected, abs=1e-12)


def test_scores_after_the_query_are_not_looked_at():
    future = torch.ones(N, N).triu(1).bool()
    before, after = statistics(), statistics(TERMS.masked_fill(future, 1e3))
    for name in before:
        torch.testing.assert_close(before[name], after[name])


def test_without_all_terms_attention_is_uniform():
    total = TERMS.sum(0)
    found = statistics(total[None])
    expected = sum(math.log(q + 1) + (row.softmax(0) @ row.log_softmax(0)).item() for _, q, row in rows(total))
    assert found["divergence"].item() == pytest.approx(expected / (BATCH * (N - 1)))
    assert found["share"].item() == pytest.approx(1)


def test_a_head_that_adds_two_to_equal_tokens_prefers_them_by_two():
    same = 2.0 * (TOKENS[:, :, None] == TOKENS[:, None, :])
    assert statistics(same.double()[None])["same_token_preference"].item() == pytest.approx(2)


def test_a_preference_without_any_repetition_is_undefined():
    assert statistics(tokens=torch.arange(N).expand(BATCH, -1))["same_token_preference"].isnan().all()


def test_scores_that_do_not_vary_have_no_shares():
    found = statistics(torch.zeros(2, BATCH, N, N, dtype=torch.float64))
    assert found["share"].isnan().all()
    assert found["naive_share"].isnan().all()
    assert (found["divergence"] == 0).all()


def test_a_term_of_positions_varies_between_positions_only():
    same = TERMS.clone()
    same[0] = TERMS[0, 0]  # every sentence's scores are the first's
    found = statistics(same)
    torch.testing.assert_close(found["between_positions"][0], found["variance"][0])
    assert abs(found["between_sentences"][0]) < 1e-12
    assert abs(found["residual"][0]) < 1e-12
    assert found["residual"][1] > 0.1


def test_the_components_of_a_variance_sum_to_it():
    found = statistics()
    parts = found["between_sentences"] + found["between_positions"] + found["residual"]
    torch.testing.assert_close(parts, found["variance"])


def test_counting_a_sentence_twice_is_having_it_twice():
    chosen = [0, 0, 1]
    found = statistics(counts=torch.tensor([[2.0, 1, 0]], dtype=torch.float64))
    expected = statistics(TERMS[:, chosen], tokens=TOKENS[chosen])
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=name)


def test_each_sentence_has_its_own_statistics():
    """What a sentence has is what it would have alone."""
    head = HeadScores(TERMS.sum(0), TOKENS)
    of_sentences = sentence_statistics(summed(TERMS, head), head, list(range(len(TERMS))))
    for sentence in range(BATCH):
        alone = TERMS[:, sentence : sentence + 1]
        squares = torch.stack([centred(term) @ centred(term) for term in alone])
        whole = centred(alone.sum(0))
        found = {name: (value[:, sentence], weight[:, sentence]) for name, (value, weight) in of_sentences.items()}
        share, weight = found["share"]
        torch.testing.assert_close(share, torch.stack([centred(term) @ whole for term in alone]) / (whole @ whole))
        torch.testing.assert_close(weight, (whole @ whole).expand(len(TERMS)))
        torch.testing.assert_close(found["naive_share"], (squares / squares.sum(), squares.sum().expand(len(TERMS))))
        diagonal = [torch.stack([row[-1] - row.mean() for _, q, row in rows(term) if q]).mean() for term in alone]
        queries = torch.full((len(TERMS),), N - 1.0, dtype=torch.float64)
        torch.testing.assert_close(found["diagonal"], (torch.stack(diagonal), queries))


def test_profiles_show_how_far_back_a_head_looks():
    """A head that adds 6 to the key before: row-centred, 6 less the row's mean of 6 / (q + 1)."""
    previous = 6.0 * torch.ones(N - 1, dtype=torch.float64).diag(-1)
    maps = previous.expand(BATCH, -1, -1)
    offset = summed(maps[None], HeadScores(maps, TOKENS))["offset"][0]
    for back in range(N):
        expected = [6.0 * (back == 1) - 6 / (q + 1) for q in range(max(1, back), N)]
        assert offset[back].item() == pytest.approx(sum(expected) / len(expected))


def test_normalisers_without_a_term_are_those_of_its_absence():
    """Over all keys, and over all but the first, which may hold next to all or next to none of the attention."""
    for first in (0.0, 300.0, -300.0):
        scores, term = TERMS.sum(0), TERMS[0]
        scores[..., 0] += first
        masked = scores.masked_fill(torch.ones(N, N).triu(1).bool(), -torch.inf)
        expected = [
            sum((scores - term)[:, q, least : q + 1].logsumexp(-1) for q in range(least, N)) for least in (0, 1)
        ]
        torch.testing.assert_close(log_normalisers(masked, term), tuple(expected))


def test_entries_are_the_lower_triangle_row_by_row():
    entries = Entries(3)
    maps = torch.arange(9.0).reshape(3, 3)
    assert entries.of(maps).tolist() == [0, 3, 4, 6, 7, 8]
    assert entries.row_sums(entries.of(maps)).tolist() == [0, 7, 21]
    assert entries.row_centred(entries.of(maps)).tolist() == [0, -0.5, 0.5, -1, 0, 1]
    uniform = entries.of(pattern(torch.zeros(3, 3)))
    torch.testing.assert_close(entries.by_offset(uniform), torch.tensor([5 / 12, 5 / 12, 1 / 3], dtype=torch.float64))
