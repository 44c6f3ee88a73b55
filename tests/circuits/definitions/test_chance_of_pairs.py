import pytest
import torch
from untrained import D_MODEL, EVERY, N_HEADS, copier, model, sequences

from pipeline.circuits.definitions.chance_of_heads import Draws, Reference
from pipeline.circuits.definitions.chance_of_pairs import RandomPairs, of_pairs
from pipeline.circuits.definitions.measure_pairs import circuit_scores, composition_scores, path_scores
from pipeline.circuits.definitions.registry import PAIRS
from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.score import stacked
from pipeline.circuits.scores.subspaces import spans
from pipeline.circuits.transformer.forward import forward

DRAWS = Draws(heads=60, pairs=20, ranks=30, tile=5, batch=2, sentences=2)
TEXT = sequences()[None]


def measured(weights):
    held, heads = Held.of(weights, forward(weights, TEXT)), [(0, head) for head in range(N_HEADS)]
    scores = composition_scores(weights, 0, 1)
    scores |= circuit_scores(weights, 0, 1, EVERY, 5)
    return scores | stacked([path_scores(held, head, 1) for head in heads])


def compared(weights, before, scores, seed=0):
    reference = Reference.of(weights, before, EVERY, DRAWS, torch.Generator().manual_seed(seed))
    return of_pairs(
        reference, RandomPairs.of(reference, {layer: spans(weights, layer) for layer in range(2)}), 0, 1, scores, TEXT
    )


@pytest.fixture(scope="module")
def chances():
    return compared(copier(), model(1), measured(copier()))


def test_every_pair_is_compared_with_what_its_definition_names(chances):
    assert {name: tuple(kinds) for name, kinds in chances.items()} == {entry.name: entry.nulls for entry in PAIRS}
    for kinds in chances.values():
        for chance in kinds.values():
            assert chance.p.shape == (N_HEADS, N_HEADS)
            assert not chance.p.isnan().any()


def test_each_score_is_compared_first_with_the_kind_that_random_heads_cannot_fool(chances):
    first = {name: next(iter(kinds)) for name, kinds in chances.items()}
    for through in "QKV":
        assert first[f"{through}_composition", "frobenius"] == "rotation"
        assert first[f"{through}_composition", "above_chance"] == "rotation"
    assert first["K_circuit", "eigenvalue"] == first["virtual", "eigenvalue"] == "rotation"
    assert first["K_circuit", "top1_keys"] == first["virtual", "top1"] == "permuted_tokens"
    assert first["virtual", "norm_share"] == first["virtual", "loss_removed"] == "step_0"


def test_what_chance_is_taken_off_takes_it_off_both_sides(chances):
    for null_kind in ("rotation", "gaussian"):
        whole, above = (chances["K_composition", name][null_kind] for name in ("frobenius", "above_chance"))
        torch.testing.assert_close(whole.z, above.z)
        torch.testing.assert_close(whole.p, above.p)
        difference = torch.full((N_HEADS, N_HEADS), D_MODEL**-0.5, dtype=torch.float64)
        torch.testing.assert_close(whole.mean - above.mean, difference)


def test_pairs_before_training_are_each_others_chance(chances):
    values = composition_scores(model(1), 0, 1)["Q_composition", "frobenius"].value
    chance = chances["Q_composition", "frobenius"]["step_0"]
    assert chance.draws == N_HEADS**2
    torch.testing.assert_close(chance.mean, values.mean().expand(N_HEADS, N_HEADS))
    torch.testing.assert_close(chance.sd, values.std().expand(N_HEADS, N_HEADS))


def test_without_a_model_before_training_paths_have_no_chance():
    chances = compared(copier(), None, measured(copier()))
    assert ("virtual", "norm_share") not in chances
    assert all("step_0" not in kinds for kinds in chances.values())


def test_pairs_of_layers_that_are_not_chosen_have_composition_alone():
    chances = compared(copier(), model(1), composition_scores(copier(), 0, 1))
    assert set(chances) == set(composition_scores(copier(), 0, 1))


def test_equal_seeds_give_equal_chances(chances):
    name = ("virtual", "eigenvalue")
    scores = measured(copier())
    same, different = (compared(copier(), model(1), scores, seed)[name]["rotation"].sd for seed in (0, 1))
    torch.testing.assert_close(same, chances[name]["rotation"].sd, rtol=0, atol=0)
    assert not torch.equal(different, same)
