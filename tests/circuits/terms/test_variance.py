import torch

from pipeline.circuits.terms.variance import variance_components


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def components(scores, counts=None):
    """Of one term's scores [batch, entry], as the function takes them."""
    batch, entries = scores.shape
    counts = torch.ones(1, batch, dtype=torch.float64) if counts is None else counts
    found = variance_components((scores @ scores.mT)[None], scores.sum(-1)[None], entries, counts)
    return {name: value[:, 0] for name, value in found.items()}


def population(values):
    return values.var(correction=0)


def test_a_sum_of_a_sentence_part_and_a_position_part_has_no_residual():
    sentence, position = random(5, 1), random(1, 8, seed=1)
    found = components(sentence + position)
    torch.testing.assert_close(found["between_sentences"].squeeze(), population(sentence))
    torch.testing.assert_close(found["between_positions"].squeeze(), population(position))
    assert abs(found["residual"].item()) < 1e-12


def test_what_is_the_same_in_every_sentence_lies_between_positions():
    same = random(1, 8).expand(5, -1)
    found = components(same)
    torch.testing.assert_close(found["between_positions"].squeeze(), population(same[0]))
    assert abs(found["between_sentences"].item()) < 1e-12
    assert abs(found["residual"].item()) < 1e-12


def test_what_averages_out_over_both_is_residual():
    found = components(torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64))
    assert {name: value.item() for name, value in found.items()} == {
        "all": 1,
        "between_sentences": 0,
        "between_positions": 0,
        "residual": 1,
    }


def test_components_are_the_sums_of_squares_of_a_two_way_table():
    scores = random(5, 8)
    rows, columns, whole = scores.mean(1, keepdim=True), scores.mean(0, keepdim=True), scores.mean()
    found = components(scores)
    torch.testing.assert_close(found["all"].squeeze(), population(scores))
    torch.testing.assert_close(found["between_sentences"].squeeze(), population(rows))
    torch.testing.assert_close(found["between_positions"].squeeze(), population(columns))
    torch.testing.assert_close(found["residual"].squeeze(), ((scores - rows - columns + whole) ** 2).mean())


def test_counting_a_sentence_twice_is_having_it_twice():
    scores = random(4, 6)
    counts = torch.tensor([[2.0, 0, 1, 1]], dtype=torch.float64)
    expected = components(scores[[0, 0, 2, 3]])
    for name, value in components(scores, counts).items():
        torch.testing.assert_close(value, expected[name])
