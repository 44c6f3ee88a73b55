"""The closed forms, against published values for a perfect head and against dense matrices of the networks."""

import math

import numpy as np
import pytest
import torch
from pipeline.circuits.closed_forms.expectations import of_random, of_wired
from torch import Generator

from pipeline.circuits.closed_forms import of_circuits, of_effects, of_pairs, of_patterns
from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.closed_forms.of_circuits import UNDEFINED
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


def construction(circuit, **changes):
    return Construction(circuit=circuit, **(PLAIN | changes))


def network(one):
    return constructed(one, Generator().manual_seed(0)).double()


def repeated(period, repeats):
    return [0, *[token + 1 for token in range(period)] * repeats]


def sentences(one, period=5, count=2):
    return [follow(one, np.roll(repeated(period, 2), shift).tolist()) for shift in range(count)]


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_mechanism_does_what_the_network_does(circuit):
    one = construction(circuit)
    tokens = [0, 3, 5, 3, 4, 4, 13, 3, 5, 0, 1, 2]
    found, model, ids = follow(one, tokens), network(one), torch.tensor([tokens])
    trace = model.trace(ids, torch.float64)
    np.testing.assert_allclose(np.stack(found.patterns), trace.pattern[0, :, 0].detach(), atol=1e-6)
    np.testing.assert_allclose(found.logits, trace.logits[0].detach(), atol=1e-5)
    np.testing.assert_allclose(found.losses(), model.losses(ids, torch.float64)[0].detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("repeats", "period", "name", "expected"),
    [
        (2, 50, "mass", 1.0),
        (4, 25, "entry_mean", 0.5),  # 75 queries with 150 targets, as Olsson et al. count
        (2, 50, "detector_mul", 50 / 101),  # TransformerLens divides by every query
        (2, 50, "stripe", (50 + 1 / 50 + 1 / 51) / 52),  # two entries are no matches: even attention there
    ],
)
def test_a_perfect_induction_head_by_every_definition(repeats, period, name, expected):
    sizes = {"d_vocab": 52, "n_ctx": 101, "d_model": 205}
    one = construction("induction", position_gain=40.0, match_gain=40.0, **sizes)
    scores = of_patterns.scores([follow(one, repeated(period, repeats))], 1, 1, period)
    assert scores["induction", name] == pytest.approx(expected, abs=1e-9)


def test_a_positional_head_passes_for_induction_at_its_own_period_alone():
    one = construction("positional_shortcut", offset=4, position_gain=40.0)
    own, other = (of_patterns.scores([follow(one, repeated(period, 2))], 0, 1, period) for period in (5, 4))
    assert own["induction", "mass"] == pytest.approx(1)
    assert other["induction", "mass"] == pytest.approx(0, abs=1e-6)


def test_even_attention_scores_harmonic_numbers():
    scores = of_patterns.scores([follow(construction("copy"), repeated(5, 2))], 0, 1, 5)
    assert scores["current_token", "mean"] == pytest.approx(sum(1 / n for n in range(1, 12)) / 11)
    assert scores["first_token", "mean"] == pytest.approx(sum(1 / n for n in range(2, 12)) / 10)
    assert scores["previous_token", "mean"] == pytest.approx(scores["first_token", "mean"])


def test_what_olsson_copying_gives_a_head_that_raises_only_what_it_attends_to():
    one = construction("previous_token", position_gain=40.0)
    assert of_patterns.olsson([follow(one, repeated(5, 2))], 0, 1, 5) == pytest.approx(1)
    one = construction("anticopy")
    assert of_patterns.olsson([follow(one, repeated(5, 2))], 0, 1, 5) < 0  # it lowers them, which raises all others


def dense(one, layer):
    """W_E, W_U, W_V W_O and W_Q W_K^T of head 0, as the network has them."""
    model = network(one)
    block, W_E = model.blocks[layer], model.token_embedding.weight.detach()
    W_Q, W_K, W_V = (part[: one.d_head].mT for part in block.project_qkv.weight.detach().split(one.d_model))
    W_O = block.project_output.weight.detach()[:, : one.d_head].mT
    return W_E, W_V @ W_O, W_Q @ W_K.mT


def by_hand(matrix):
    eigenvalues = np.linalg.eigvals(matrix)
    others = matrix - 1e9 * np.eye(len(matrix))
    return {
        "eigenvalue": eigenvalues.sum().real / np.abs(eigenvalues).sum(),
        "diagonal_z": (np.diag(matrix).mean() - matrix.mean()) / matrix.std(),
        "top1": np.mean(np.diag(matrix) > others.max(1)),
        "top5": np.mean((others >= np.diag(matrix)[:, None]).sum(1) < 5),
    }


@pytest.mark.parametrize("circuit", ["uniform", "copy", "anticopy", "induction"])
def test_scores_of_copying_are_those_of_the_dense_matrix(circuit):
    one = construction(circuit)
    layer = len(one.wiring) - 1
    W_E, OV, _ = dense(one, layer)
    known = of_circuits.scores(one, layer, [0.5, 0.5])
    for name, value in by_hand((W_E @ OV @ W_E.mT).numpy()).items():
        assert known["copying", name] == pytest.approx(value, abs=1e-9)
    stream = np.linalg.eigvals(OV.numpy())
    assert known["copying", "eigenvalue_stream"] == pytest.approx(stream.sum().real / np.abs(stream).sum(), abs=1e-9)


def test_a_head_that_matches_its_own_token_prefers_it():
    one = construction("duplicate_token")
    W_E, _, QK = dense(one, 0)
    known, found = of_circuits.scores(one, 0, [0.5]), by_hand((W_E @ QK @ W_E.mT).numpy())
    for name in ("eigenvalue", "diagonal_z"):
        assert known["same_token_preference", name] == pytest.approx(found[name])


@pytest.mark.parametrize("circuit", ["induction", "q_composition", "v_composition"])
def test_composition_is_that_of_the_dense_matrices(circuit):
    one = construction(circuit)
    (_, OV, _), (_, above, QK) = dense(one, 0), dense(one, 1)
    known = of_pairs.scores(one, sentences(one))
    for kind, read in (("Q", QK), ("K", QK.mT), ("V", above)):
        share = float((OV @ read).norm() / (OV.norm() * read.norm()))
        assert known[f"{kind}_composition", "frobenius"] == pytest.approx(share, abs=1e-9)
        assert known[f"{kind}_composition", "above_chance"] == pytest.approx(share - 1 / math.sqrt(40), abs=1e-9)
    fed = {"induction": "K", "q_composition": "Q", "v_composition": "V"}[circuit]
    assert known[f"{fed}_composition", "frobenius"] == pytest.approx(1 / math.sqrt(14))


def test_the_prefix_trace_is_that_of_the_dense_matrices():
    one = construction("induction")
    (W_E, OV, _), (_, _, QK) = dense(one, 0), dense(one, 1)
    known = of_circuits.scores(one, 1, [0.25, 0.5])
    assert known["induction", "prefix_trace"] == pytest.approx(float((W_E @ QK @ (0.25 * OV).mT @ W_E.mT).trace()))
    assert of_circuits.scores(one, 0, [0.25, 0.5])["induction", "prefix_trace"] == UNDEFINED


def test_orders_begin_with_the_direct_path_and_end_with_the_model():
    one = construction("v_composition")
    text = sentences(one)
    orders = [of_effects.by_order(one, text)["loss", f"order_{order}"] for order in range(3)]
    # The direct path gives the token itself one logit more; with the virtual head left out, nothing is added to it.
    same = np.mean(
        [
            math.log(math.e + 13) - (now == then)
            for text in text
            for now, then in zip(text.tokens, text.tokens[1:], strict=False)
        ]
    )
    assert orders[0] == pytest.approx(same)
    assert orders[1] == pytest.approx(orders[0])
    assert orders[2] == pytest.approx(of_effects.loss(text))


def test_without_the_layer_below_an_induction_head_knows_nothing():
    one = construction("induction", position_gain=40.0, match_gain=40.0)
    text = [follow(one, repeated(5, 2))]
    lower = of_effects.without_head(one, text, 0)
    assert lower["ablation", "zero"] > 0
    assert lower["ablation", "pattern_preserving"] == pytest.approx(0)  # it only decides where to look
    edges = of_effects.without_edge(one, text)
    assert edges["edge", "K"] == pytest.approx(lower["ablation", "zero"])
    assert edges["edge", "Q"] == edges["edge", "V"] == 0


def test_every_score_is_known_once():
    one = construction("induction")
    sets = {("text", None): [repeated(5, 2)], ("repeated_text", None): [repeated(5, 2)]}
    sets |= {("repeated_tokens", period): [repeated(period, 2)] for period in (3, 5)}
    names = [
        (known.layer, known.pair, known.metric, known.definition, known.eval_set, known.period)
        for known in of_wired(one, sets, 1)
    ]
    assert len(names) == len(set(names))


def test_random_weights_score_by_their_sizes():
    assert of_random("frobenius", d_vocab=10, d_model=64) == 1 / 8
    assert of_random("top5", d_vocab=10, d_model=64) == 0.5
    assert isinstance(of_random("mass", d_vocab=10, d_model=64), str)
