import pytest
import torch

from pipeline.circuits.vocabulary.top_tokens import top_tokens


def test_top_tokens_are_sorted_masked_and_tied_by_id():
    components = torch.tensor([[1.0, 3.0, 9.0, 3.0, -2.0]])
    mask = torch.tensor([True, True, False, True, True])
    (_, top, high), (_, bottom, low) = top_tokens(components, 3, mask)
    assert (top.tolist(), high.tolist()) == ([[1, 3, 0]], [[3.0, 3.0, 1.0]])
    assert (bottom.tolist(), low.tolist()) == ([[4, 0, 1]], [[-2.0, 1.0, 3.0]])
    assert next(top_tokens(components, 99, mask))[1].shape == (1, 4)
    with pytest.raises(ValueError, match="none of the 5 tokens"):
        next(top_tokens(components, 1, ~mask & mask))


@pytest.mark.parametrize("n_tokens", [30, 64 * 7, 64 * 7 + 1, 1000])
@pytest.mark.parametrize("largest", [4, 10_000])  # ties everywhere, or only here and there
def test_top_tokens_are_those_of_a_full_stable_sort(n_tokens, largest):
    generator = torch.Generator().manual_seed(0)
    components = torch.randint(-largest, largest + 1, (40, n_tokens), generator=generator).double()
    mask = torch.rand(n_tokens, generator=generator) < 0.9
    ids = mask.nonzero()[:, 0].tolist()
    for (end, found, values), sign in zip(top_tokens(components, 6, mask), (-1, 1), strict=True):
        for row, listed, value in zip(components.tolist(), found.tolist(), values.tolist(), strict=True):
            assert listed == sorted(ids, key=lambda token: (sign * row[token], token))[:6], end
            assert value == [row[token] for token in listed]
