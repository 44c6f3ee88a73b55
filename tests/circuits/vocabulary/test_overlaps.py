from dataclasses import replace

import pytest
import torch

from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary import overlaps

D_VOCAB, D_MODEL, D_HEAD, NEURONS = 12, 6, 3, 7


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(layers=2):
    tall = {name: random(layers, 2, D_MODEL, D_HEAD, seed=n) for n, name in enumerate(("W_Q", "W_K", "W_V"))}
    return Weights(
        "residual",
        random(D_VOCAB, D_MODEL, seed=3),
        random(D_MODEL, D_VOCAB, seed=4),
        **tall,
        W_O=random(layers, 2, D_HEAD, D_MODEL, seed=5),
        W_pos=random(5, D_MODEL, seed=6),
        ff_keys=random(layers, NEURONS, D_MODEL, seed=7),
        ff_values=random(layers, NEURONS, D_MODEL, seed=8),
        ff_key_bias=random(layers, NEURONS, seed=9),
        ff_value_bias=random(layers, D_MODEL, seed=10),
        activation="relu",
    )


def test_jaccard_of_known_sets():
    one = torch.tensor([[0, 1, 2], [0, 1, 2], [5, 3, 4]])
    other = torch.tensor([[2, 0, 1], [2, 3, 4], [0, 1, 2]])
    assert overlaps.shared(one, other).tolist() == [3, 1, 0]
    assert overlaps.jaccard(one, other).tolist() == [1.0, 1 / 5, 0.0]


def test_overlap_is_that_of_python_sets():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.stack([torch.randperm(20, generator=generator)[:8] for _ in range(30)]) for _ in range(2))
    expected = [len({*a} & {*b}) / len({*a} | {*b}) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    assert overlaps.jaccard(one, other).tolist() == pytest.approx(expected)


def test_token_sets_hold_the_largest_components():
    vectors = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    to_tokens = torch.tensor([[3.0, -5.0, 1.0, 0.0], [1.0, 2.0, 3.0, -9.0]])
    for scale in (1, 1e-30, 1e30):
        by_size, for_it = overlaps.token_sets((scale * vectors, scale * to_tokens), (2, True), (2, False))
        assert by_size.tolist() == [[1, 0], [3, 2]]
        assert for_it.tolist() == [[0, 2], [3, 0]]


def promoted_by(model, k):
    [tokens] = overlaps.token_sets((model.ff_values[0], model.W_U), (k, False))
    return tokens


def test_partners_are_the_same_dimension_of_two_matrices():
    model = network()
    pairs = overlaps.partners(model, 1)
    assert pairs.keys() == {"query_key", "value_output", "key_value"}
    place = 1 * D_HEAD + 2  # head 1, dimension 2
    (query, _), (key, _) = pairs["query_key"]
    assert torch.equal(query[place], model.W_Q[1, 1, :, 2])
    assert torch.equal(key[place], model.W_K[1, 1, :, 2])
    (value, read), (output, written) = pairs["value_output"]
    assert torch.equal(value[place], model.W_V[1, 1, :, 2])
    assert torch.equal(output[place], model.W_O[1, 1, 2])
    assert torch.equal(read, model.W_E.T)
    assert torch.equal(written, model.W_U)
    assert torch.equal(pairs["key_value"][1][0][4], model.ff_values[1, 4])
    assert "key_value" not in overlaps.partners(replace(model, ff_keys=None), 1)


def test_the_most_active_neurons_are_those_of_a_loop():
    model = network()
    trace = forward(model, torch.tensor([[1, 4, 2], [7, 0, 11]]))
    found = overlaps.active_neurons(model, trace, 1, 2)
    for sentence in range(2):
        for position in range(3):
            stream = trace.resid[sentence, 1, position]
            stream = stream + sum(trace.z[sentence, 1, head, position] @ model.W_O[1, head] for head in range(2))
            activations = (model.ff_keys[1] @ stream + model.ff_key_bias[1]).relu()
            assert found[sentence, position, 0] == activations.argmax()
            assert set(found[sentence, position].tolist()) == set(activations.topk(2).indices.tolist())


def test_recall_is_that_of_python_sets():
    model = network()
    trace = forward(model, torch.tensor([[1, 4, 2], [7, 0, 11]]))
    own, strange = overlaps.recall_of_values(
        model, trace, 0, promoted_by(model, 4), 2, torch.Generator().manual_seed(0)
    )
    neurons = overlaps.active_neurons(model, trace, 0, 2).reshape(6, 2)
    streams = trace.resid[:, 1].reshape(6, D_MODEL)
    promoted = [set((stream @ model.W_U).topk(4).indices.tolist()) for stream in streams]
    values = [set((value @ model.W_U).topk(4).indices.tolist()) for value in model.ff_values[0]]
    expected = [sum(len(promoted[n] & values[i]) / 4 for i in neurons[n].tolist()) / 2 for n in range(6)]
    assert own.tolist() == pytest.approx(expected)
    other = derangement(6, torch.Generator().manual_seed(0)).tolist()
    expected = [sum(len(promoted[other[n]] & values[i]) / 4 for i in neurons[n].tolist()) / 2 for n in range(6)]
    assert strange.tolist() == pytest.approx(expected)


def test_a_stream_that_is_one_value_names_it_completely():
    model = network(layers=1)
    values, keys = torch.zeros(1, NEURONS, D_MODEL), torch.zeros(1, NEURONS, D_MODEL)
    keys[0, 2, 0], values[0, 2] = 1.0, 100 * random(D_MODEL, seed=11)
    model = replace(
        model, W_E=torch.eye(D_VOCAB, D_MODEL)[:, :D_MODEL] + torch.eye(1, D_MODEL), ff_keys=keys, ff_values=values
    )
    model = replace(model, W_O=0 * model.W_O, W_pos=None, positions="none", ff_key_bias=None, ff_value_bias=None)
    trace = forward(model, torch.tensor([[0, 1, 2, 3]]))
    own, strange = overlaps.recall_of_values(model, trace, 0, promoted_by(model, 3), 1, torch.Generator())
    assert own.tolist() == [1.0] * 4
    assert strange.tolist() == [1.0] * 4
