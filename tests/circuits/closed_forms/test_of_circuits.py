import math

import numpy as np
import pytest
from constructions import D_VOCAB, case, construction, dense, network, repeated, scores_of, sentences

from pipeline.circuits.closed_forms import of_circuits
from pipeline.circuits.closed_forms.expected import ROUNDING, TIES, UNDEFINED
from pipeline.circuits.closed_forms.mechanism import follow


def same(known, measured):
    """A closed form agrees with a number; one that says it is undefined, with NaN."""
    return math.isnan(measured) if known == UNDEFINED else known == pytest.approx(measured, abs=1e-9)


@pytest.mark.parametrize("circuit", ["uniform", "copy", "anticopy", "induction"])
def test_scores_of_copying_are_those_of_the_dense_matrix(circuit):
    wired = construction(circuit)
    layer = len(wired.wiring) - 1
    W_E, OV, _ = dense(wired, layer)
    for name, value in scores_of((W_E @ OV @ W_E.mT).numpy()).items():
        closed_form = of_circuits.copying(name.rstrip("0123456789"))
        assert closed_form(case(wired, layer)) == pytest.approx(value, abs=1e-9), name
    stream = np.linalg.eigvals(OV.numpy())
    expected = stream.sum().real / np.abs(stream).sum()
    assert of_circuits.stream(case(wired, layer)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["eigenvalue", "diagonal_z", "top"])
def test_a_head_that_writes_where_nothing_reads_copies_nothing(name):
    wired = construction("induction")
    W_E, OV, _ = dense(wired, 0)
    measured = scores_of((W_E @ OV @ W_E.mT).numpy())
    assert same(of_circuits.copying(name)(case(wired, 0)), measured["top1" if name == "top" else name])
    assert of_circuits.stream(case(wired, 0)) == UNDEFINED


@pytest.mark.parametrize("name", ["eigenvalue", "diagonal_z"])
@pytest.mark.parametrize(("circuit", "layer"), [("duplicate_token", 0), ("copy", 0), ("previous_token", 0)])
def test_a_head_that_matches_its_own_token_alone_prefers_it(name, circuit, layer):
    wired = construction(circuit)
    W_E, _, QK = dense(wired, layer)
    known = of_circuits.same_token(name)(case(wired, layer))
    assert same(known, scores_of((W_E @ QK @ W_E.mT).numpy())[name])
    assert (known == UNDEFINED) == (circuit != "duplicate_token")


@pytest.mark.parametrize("circuit", ["previous_token", "copy"])
@pytest.mark.parametrize("offset", [1, 4])
def test_attention_by_position_is_that_of_the_dense_scores(circuit, offset):
    wired = construction(circuit, offset=offset)
    W_pos, (_, _, QK) = network(wired).pos_embedding.weight.detach(), dense(wired, 0)
    scores = (W_pos @ QK @ W_pos.mT / math.sqrt(wired.d_head)).numpy()
    rows = [np.exp(scores[query, : query + 1]) for query in range(1, wired.n_ctx)]
    expected = np.mean([row[-2] / row.sum() for row in rows])
    assert of_circuits.positional(case(wired, 0)) == pytest.approx(expected)


def test_recall_is_decided_by_the_wiring_or_by_ties():
    assert of_circuits.recall(case(construction("previous_token"), 0)) == 1
    assert of_circuits.recall(case(construction("previous_token", offset=2), 0)) == TIES
    assert of_circuits.recall(case(construction("copy"), 0)) == TIES


def test_prefixes_are_those_of_the_dense_matrices():
    wired = construction("induction", position_gain=math.log(3))
    read = [follow(wired, repeated(5, 2))]
    # exp(gain) is 3: of query + 1 keys, the one before has 3 of query + 3 parts.
    previous = np.mean([3 / (query + 3) for query in range(1, 11)])
    (W_E, OV, _), (_, _, QK) = dense(wired, 0), dense(wired, 1)
    circuit = W_E @ QK @ (previous * OV).mT @ W_E.mT
    assert of_circuits.prefix_trace(case(wired, 1, read)) == pytest.approx(float(circuit.trace()))
    assert of_circuits.prefix_ratio(case(wired, 1, read)) == pytest.approx(scores_of(circuit.numpy())["eigenvalue"])


def test_no_head_feeds_the_first_layer():
    first = case(construction("induction"), 0)
    assert of_circuits.prefix_trace(first) == of_circuits.prefix_ratio(first) == UNDEFINED


def test_a_reader_that_matches_nothing_carried_has_no_prefixes():
    wired = construction("v_composition")
    second = case(wired, 1, sentences(wired))
    assert of_circuits.prefix_trace(second) == 0
    assert of_circuits.prefix_ratio(second) == UNDEFINED
    dense_basis = construction("v_composition", basis="random", d_model=64)
    assert of_circuits.prefix_ratio(case(dense_basis, 1)) == ROUNDING


def test_a_shift_has_roots_of_unity_for_eigenvalues():
    matrix = np.roll(np.eye(D_VOCAB), 1, axis=1)
    measured = scores_of(matrix)
    known = of_circuits.shift(D_VOCAB)
    assert known["eigenvalue"] == pytest.approx(measured["eigenvalue"], abs=1e-9)
    assert known["diagonal_z"] == pytest.approx(measured["diagonal_z"])
    assert known["top"] == measured["top1"] == 0
