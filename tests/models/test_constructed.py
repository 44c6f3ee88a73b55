import math

import pytest
import torch
from torch import Generator

from pipeline.circuits.closed_forms.wiring import CIRCUITS, Construction
from pipeline.models.constructed import constructed

PLAIN = {
    "basis": "one_hot",
    "n_heads": 1,
    "d_model": 40,
    "n_ctx": 12,
    "d_vocab": 14,
    "offset": 1,
    "position_gain": 3.0,
    "match_gain": 4.0,
    "copy_gain": 2.0,
}
DISGUISED = {"basis": "random", "n_heads": 4, "d_model": 64}


def network(circuit, seed=0, **changes):
    return constructed(Construction(circuit=circuit, **(PLAIN | changes)), Generator().manual_seed(seed)).double()


def sentence(period=5, length=12):
    block = torch.randperm(13, generator=Generator().manual_seed(1))[:period] + 1
    return torch.cat([torch.tensor([0]), block.repeat(3)[: length - 1]])


def trace(circuit, tokens, **changes):
    own = network(circuit, **changes).trace(tokens[None], torch.float64)
    return own.pattern[0, :, 0].detach(), own.logits[0].detach()


def softmax(scores):
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def back(offset=1, gain=3.0, length=12):
    """Attention of a head that gives `gain` to the key `offset` before, and 0 to all others."""
    return [softmax([gain * (key == query - offset) for key in range(query + 1)]) for query in range(length)]


def close(pattern, rows):
    padded = torch.tensor([row + [0.0] * (len(pattern) - len(row)) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(pattern, padded, rtol=0, atol=1e-6)


@pytest.mark.parametrize("circuit", ["uniform", "copy", "anticopy"])
def test_heads_without_a_preference_attend_to_all_alike(circuit):
    pattern, _ = trace(circuit, sentence())
    close(pattern[0], [[1 / (query + 1)] * (query + 1) for query in range(12)])


@pytest.mark.parametrize("offset", [1, 4])
def test_a_positional_head_of_finite_gain_has_a_share_known_in_closed_form(offset):
    pattern, _ = trace("positional_shortcut", sentence(), offset=offset)
    for query in range(offset, 12):
        share = math.exp(3) / (math.exp(3) + query)
        torch.testing.assert_close(float(pattern[0, query, query - offset]), share, rtol=0, atol=1e-6)
    close(pattern[0], back(offset))


def test_a_duplicate_token_head_looks_at_all_copies_of_its_own_token():
    tokens = sentence()
    pattern, _ = trace("duplicate_token", tokens)
    close(
        pattern[0],
        [softmax([4.0 * (tokens[key] == token) for key in range(query + 1)]) for query, token in enumerate(tokens)],
    )


def test_an_induction_head_follows_what_its_own_token_met_before():
    tokens = sentence()
    pattern, logits = trace("induction", tokens)
    below = back()
    close(pattern[0], below)
    carried = [
        [sum(row[place] for place in range(len(row)) if tokens[place] == token) for token in range(14)] for row in below
    ]
    expected = [softmax([4.0 * carried[key][tokens[query]] for key in range(query + 1)]) for query in range(12)]
    close(pattern[1], expected)
    for query, row in enumerate(expected):
        added = [sum(share for key, share in enumerate(row) if tokens[key] == token) for token in range(14)]
        wanted = torch.tensor([2.0 * share + (token == tokens[query]) for token, share in enumerate(added)])
        torch.testing.assert_close(logits[query], wanted.double(), rtol=0, atol=1e-5)


def test_in_the_limit_of_large_gains_an_induction_head_is_perfect():
    tokens = sentence()
    pattern, _ = trace("induction", tokens, position_gain=30.0, match_gain=30.0)
    for query in range(6, 11):
        torch.testing.assert_close(float(pattern[1, query, query - 4]), 1.0, rtol=0, atol=1e-6)


def test_queries_fed_by_the_previous_token_look_for_its_copies():
    tokens = sentence()
    pattern, _ = trace("q_composition", tokens, position_gain=30.0)
    expected = [[1.0]]  # at position 0 there is nothing before
    for query in range(1, 12):
        expected.append(softmax([4.0 * (tokens[key] == tokens[query - 1]) for key in range(query + 1)]))
    close(pattern[1], expected)


def test_two_heads_in_a_row_carry_a_token_two_places_on():
    tokens = sentence()
    _, logits = trace("v_composition", tokens, position_gain=30.0)
    for query in range(2, 12):
        expected = torch.zeros(14, dtype=torch.float64)
        expected[tokens[query]] += 1
        expected[tokens[query - 2]] += 2
        torch.testing.assert_close(logits[query], expected, rtol=0, atol=1e-6)


def test_the_sign_and_the_shift_of_what_is_copied():
    tokens = torch.tensor([0, 3, 3, 3])
    for circuit, token, amount in (("copy", 3, 1.5), ("anticopy", 3, -1.5), ("uniform", 4, 1.5)):
        _, logits = trace(circuit, tokens)
        direct = float(token == 3)
        torch.testing.assert_close(float(logits[3, token]), amount + direct, rtol=0, atol=1e-6)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_neither_basis_nor_distractors_change_what_a_circuit_does(circuit):
    tokens = sentence()
    plain, disguised = trace(circuit, tokens), trace(circuit, tokens, **DISGUISED)
    torch.testing.assert_close(plain[0], disguised[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(plain[1], disguised[1], rtol=0, atol=1e-5)
    weight = network(circuit, **DISGUISED).token_embedding.weight
    assert torch.equal(weight @ weight.mT, torch.eye(14, dtype=torch.float64))
    assert (weight.abs() == 1 / 8).all()


def test_distractors_attend_and_write():
    pattern = network("induction", **DISGUISED).trace(sentence()[None], torch.float64).pattern[0, :, 1]
    uniform = torch.ones(12, 12, dtype=torch.float64).tril() / torch.arange(1, 13)[:, None]
    assert ((pattern - uniform).abs().amax((-2, -1)) > 0.1).all()
    model = network("induction", **DISGUISED)
    block, W_E = model.blocks[0], model.token_embedding.weight
    written = W_E @ block.project_qkv.weight[2 * 64 + 16 : 2 * 64 + 32].mT @ block.project_output.weight[:, 16:32].mT
    assert 0.3 < written.norm(dim=-1).mean() < 3
    torch.testing.assert_close(written @ W_E.mT, torch.zeros(14, 14, dtype=torch.float64), rtol=0, atol=1e-6)


def test_what_the_wiring_does_not_connect_is_zero_in_any_basis():
    model = network("induction", **DISGUISED).float()
    d_model, d_head = 64, 16
    read = [model.token_embedding.weight @ block.project_qkv.weight[:, :].mT for block in model.blocks]
    (query, key), (_, key_above) = ((part[:, :d_head], part[:, d_model : d_model + d_head]) for part in read)
    assert (query == 0).all()  # a positional head sees no tokens
    assert (key == 0).all()
    assert (key_above == 0).all()  # keys of the induction head see what was carried, not tokens


def test_the_generator_decides_distractors_and_basis():
    first, same, other = (network("copy", seed, **DISGUISED).state_dict() for seed in (0, 0, 1))
    for name, value in first.items():
        assert torch.equal(value, same[name])
        assert not torch.equal(value, other[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": 39}, "d_model=39 does not hold .* 40 is the least"),
        ({"n_heads": 2}, "40 does not hold .* 41 is the least"),
        ({"n_heads": 4, "d_model": 44}, "leaves a head 11 directions, and it must tell 14 apart"),
        ({"basis": "random", "d_model": 48}, "d_model=48 is no power of two"),
        ({"offset": 12}, "offset=12 looks beyond model.n_ctx=12"),
    ],
)
def test_a_circuit_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        network("induction", **changes)
