from dataclasses import replace

import pytest
import torch
from hand_wired import shifter_and_matcher
from untrained import D_MODEL, EVERY, LENGTH, N_HEADS, PERIOD, copier, model, sequences

from pipeline.circuits.chance.null_circuits import balanced
from pipeline.circuits.definitions import chance_of_heads
from pipeline.circuits.definitions.chance_of_heads import (
    Draws,
    Reference,
    of_circuits,
    of_rotation,
    of_sequences,
    of_step_0,
    ordered,
    random_heads,
    rotations,
)
from pipeline.circuits.definitions.heads import BEHIND
from pipeline.circuits.definitions.measure_heads import (
    circuit_scores,
    circuits_of,
    sequence_scores,
    text_scores,
)
from pipeline.circuits.definitions.measure_heads import of_circuits as measured_circuits
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores import copying
from pipeline.circuits.scores.score import Score

DRAWS = Draws(heads=60, pairs=20, ranks=30, tile=5, batch=2, sentences=2)
TEXT = sequences()[None]


def reference(weights, before, seed=0):
    return Reference.of(weights, before, EVERY, DRAWS, torch.Generator().manual_seed(seed))


def compared(weights, before, seed=0):
    """Scores and what chance gives for them: {layer, or the period of sequences: (scores, chances)}."""
    beside = reference(weights, before, seed)
    random = random_heads(beside, TEXT[:, 1:])
    parts = {}
    for layer in range(2):
        scores = circuit_scores(weights, layer, EVERY, 5)
        parts[f"layer {layer}"] = scores, of_circuits(beside, layer, scores, random)
    for period, tokens in sequences().items():
        view = Tokens(tokens, 1, period)
        scores, _ = sequence_scores(weights, view, 2)
        if period is None:
            scores |= text_scores(weights, tokens, 1, scores["previous_token", "mean"].value, 5)
        parts["text" if period is None else "periodic"] = scores, of_sequences(beside, view, scores, random)
    return parts


@pytest.fixture(scope="module")
def parts():
    return compared(copier(), model(1))


def first(chances):
    """The kind of chance that each score is compared with."""
    return {name: next(iter(kinds)) for name, kinds in chances.items()}


PATTERN = (
    ("induction", "entry_mean"),
    ("induction", "mass"),
    ("induction", "most_recent"),
    ("induction", "detector_mul"),
)


def test_each_score_is_compared_with_the_kind_that_random_heads_cannot_fool(parts):
    of_weights = first(parts["layer 1"][1])
    for definition in ("eigenvalue", "eigenvalue_stream", "diagonal_z"):
        assert of_weights["copying", definition] == "rotation"
    assert of_weights["same_token_preference", "diagonal_z"] == "rotation"
    assert of_weights["copying", "top5"] == "gaussian"
    assert of_weights["previous_token", "recall"] == "gaussian"
    assert of_weights["previous_token", "positional"] == "step_0"
    text, periodic = (first(parts[name][1]) for name in ("text", "periodic"))
    assert text["copying", "top1_unigram"] == "gaussian"
    assert text["induction", "prefix_trace"] == "rotation"
    for name in PATTERN:
        assert periodic[name] == "permuted_tokens"
        assert text[name] == "step_0"
    for name in (("induction", "stripe"), ("copying", "olsson"), ("duplicate_token", "mass"), ("first_token", "mean")):
        assert periodic[name] == "step_0"


def test_chance_has_the_axes_of_the_scores_and_z_counts_its_deviations(parts):
    known = 0
    for scores, chances in parts.values():
        assert set(chances) == set(scores)
        for name, kinds in chances.items():
            for chance in kinds.values():
                value = scores[name].value
                assert chance.z.shape == chance.p.shape == value.shape
                defined = ~chance.z.isnan()
                known += int(defined.sum())
                torch.testing.assert_close(chance.z[defined], ((value - chance.mean) / chance.sd)[defined])
    assert known > 100


def test_a_head_that_sends_back_what_it_reads_stands_out(parts):
    chance = parts["layer 0"][1]["copying", "diagonal_z"]["rotation"]
    assert chance.p[0].item() == pytest.approx(1 / (1 + DRAWS.heads))


def test_heads_before_training_are_each_others_chance(parts):
    chance = parts["text"][1]["first_token", "mean"]["step_0"]
    before, _ = sequence_scores(model(1), Tokens(TEXT[: DRAWS.sentences], 1), 2)
    values = before["first_token", "mean"].value
    assert chance.draws == N_HEADS
    torch.testing.assert_close(chance.mean, values.mean(-1, keepdim=True).expand(-1, N_HEADS))
    torch.testing.assert_close(chance.sd, values.std(-1, keepdim=True).expand(-1, N_HEADS))


def test_without_a_model_before_training_scores_of_places_have_no_chance():
    text, periodic = (compared(model(0), None)[name][1] for name in ("text", "periodic"))
    assert not any("step_0" in kinds for chances in (text, periodic) for kinds in chances.values())
    for name in (("first_token", "mean"), ("current_token", "mean")):
        assert name not in text
    assert first(periodic)["induction", "mass"] == "permuted_tokens"
    assert of_step_0({("a", "b"): Score(torch.ones(2))}, None) == {}


def test_the_layer_below_feeds_no_prefixes_to_the_first(parts):
    for definition in ("prefix_trace", "prefix_ratio"):
        p = parts["text"][1]["induction", definition]["rotation"].p
        assert p[0].isnan().all()
        assert not p[1].isnan().any()


def test_random_heads_count_the_tokens_of_the_vocabulary_or_of_the_text():
    drawn = random_heads(reference(model(0), None), TEXT[:, 1:])
    assert {name for name in drawn if name[0] == "previous_token"} == {
        ("previous_token", "recall"),
        ("previous_token", "recall_64"),
    }
    ranked = {name for name in drawn if name[1].startswith(("top", "bottom"))}
    assert all(values.shape == (DRAWS.heads,) for name, values in drawn.items() if name not in ranked)
    assert drawn["copying", "top1"].shape == (DRAWS.ranks,)
    # Counts of twelve tokens, and of the text's.
    assert ((drawn["copying", "top1"] * 12).round() / 12 - drawn["copying", "top1"]).abs().max() < 1e-9
    tokens = TEXT[:, 1:].numel()
    unigram = drawn["copying", "top1_unigram"]
    assert ((unigram * tokens).round() / tokens - unigram).abs().max() < 1e-9
    assert (drawn["copying", "top5"] >= drawn["copying", "top1"]).all()


def test_a_model_without_positions_draws_none():
    weights = replace(model(0), positions="none", W_pos=None)
    assert not any(name[0] == "previous_token" for name in random_heads(reference(weights, None), TEXT[:, 1:]))


def test_heads_stand_between_what_they_read_and_what_reads_them():
    weights = model(0)
    beside = reference(weights, None)
    halves = balanced(weights.W_V[0, 0], weights.W_O[0, 0].mT)
    for name, dense in (
        ("OV", weights.W_E @ weights.W_V[0, 0] @ weights.W_O[0, 0] @ weights.W_U),
        ("stream", weights.W_V[0, 0] @ weights.W_O[0, 0]),
    ):
        circuit = beside.between[name].through(*halves)
        torch.testing.assert_close(copying.trace(circuit), dense.trace().double(), atol=1e-4, rtol=1e-5)
    assert beside.between["stream"].size == D_MODEL


def test_rotations_of_several_heads_stand_side_by_side():
    beside, weights = reference(model(0), None), model(0)
    heads = zip(weights.W_V[0], weights.W_O[0], strict=True)
    circuits = [beside.between["OV"].through(*balanced(W_V, W_O.mT)) for W_V, W_O in heads]
    drawn = rotations(circuits, {("copying", "trace"): copying.trace}, 40, torch.Generator().manual_seed(0))
    assert drawn["copying", "trace"].shape == (40, N_HEADS)
    torch.testing.assert_close(drawn["copying", "trace"].mean(0), torch.zeros(N_HEADS).double())


def test_kinds_stand_in_the_order_that_the_definition_names_them_in(parts):
    chance = parts["layer 0"][1]["copying", "diagonal_z"]["rotation"]
    named = ["rotation", "permuted_tokens", "gaussian", "step_0"]
    assert list(ordered(("copying", "diagonal_z"), dict.fromkeys(reversed(named), chance))) == named
    assert list(ordered(("copying", "diagonal_z"), dict.fromkeys(["step_0", "rotation"], chance))) == [
        "rotation",
        "step_0",
    ]


def test_a_kind_that_the_definition_does_not_name_is_refused(parts):
    chance = parts["layer 0"][1]["copying", "diagonal_z"]["rotation"]
    with pytest.raises(ValueError, match="copying_top1 is compared with rotation, which its definition does not name"):
        ordered(("copying", "top1"), {"rotation": chance})


def test_equal_seeds_give_equal_chances(parts):
    def p_of(compared_parts):
        return [
            chance.p
            for _, chances in compared_parts.values()
            for kinds in chances.values()
            for chance in kinds.values()
        ]

    same, different = (p_of(compared(copier(), model(1), seed)) for seed in (0, 1))
    torch.testing.assert_close(same, p_of(parts), rtol=0, atol=0, equal_nan=True)
    assert any(not torch.equal(*pair) for pair in zip(different, p_of(parts), strict=True))


def test_turned_tokens_do_not_depend_on_the_batch(parts):
    name = ("induction", "mass")
    view = Tokens(sequences()[PERIOD], 1, PERIOD)
    scores, _ = sequence_scores(copier(), view, 2)
    draws = [
        chance_of_heads.of_sequences(
            replace(reference(copier(), None), draws=replace(DRAWS, batch=batch)), view, scores, {}
        )[name]["permuted_tokens"]
        for batch in (1, 3)
    ]
    assert view.tokens.shape[1] == LENGTH
    torch.testing.assert_close(draws[0].mean, draws[1].mean, atol=1e-6, rtol=0)


@pytest.mark.parametrize("fuzzy", [True, False])
def test_a_head_wired_to_near_tokens_stands_out_from_other_names_and_one_to_the_token_itself_does_not(fuzzy):
    """Tokens 2n and 2n + 1 are near, and all are as frequent."""
    d_vocab, other = 14, torch.arange(14) ^ 1
    weights = shifter_and_matcher(d_vocab, 13, 400.0)
    if fuzzy:
        weights.W_Q[1, 0, :d_vocab] = weights.W_Q[1, 0, other]
    generator = torch.Generator().manual_seed(0)
    tokens = torch.stack([torch.randperm(13, generator=generator) + 1 for _ in range(20)])
    tokens = torch.cat([torch.zeros(20, 1, dtype=torch.int64), tokens], 1)[:, :13]
    sequences = Tokens(tokens, 1, near=other[:, None])
    scores, _ = sequence_scores(weights, sequences, 8)
    beside = Reference.of(weights, None, torch.arange(d_vocab), replace(DRAWS, heads=100), generator)
    chance = of_sequences(beside, sequences, scores, {})["fuzzy_induction", "near"]["renamed_tokens"]
    assert (chance.p[1, 0].item() == pytest.approx(1 / 101)) == fuzzy


def test_one_head_alone_has_the_rotations_of_its_layer():
    weights = copier()
    draws = replace(DRAWS, heads=4000)
    beside = Reference.of(weights, None, EVERY, draws, torch.Generator().manual_seed(0))
    whole = of_circuits(beside, 0, circuit_scores(weights, 0, EVERY, 5), {})
    circuits = circuits_of(weights, (0, 1))
    scores = measured_circuits(weights, {(0, 1): circuits}, EVERY, 5)
    alone = of_rotation(weights, (0, 1), circuits, scores, 4000, torch.Generator().manual_seed(1))
    assert {name for name, kinds in whole.items() if "rotation" in kinds} == alone.keys()
    for name, kinds in alone.items():
        assert kinds["rotation"].mean.abs().item() < 1e-9
        # Of 4000 draws a deviation is known to about 1 %.
        assert kinds["rotation"].sd.item() == pytest.approx(whole[name]["rotation"].sd[1].item(), rel=0.06)
        assert scores[name].value.item() == pytest.approx(circuit_scores(weights, 0, EVERY, 5)[name].value[1].item())


def test_circuits_behind_the_first_feed_forward_part_have_chance_where_heads_meet_it():
    generator = torch.Generator().manual_seed(3)
    neurons = {name: torch.randn(2, 7, D_MODEL, generator=generator) for name in ("ff_keys", "ff_values")}
    beside = reference(replace(copier(), **neurons, activation="gelu"), None)
    random = random_heads(beside, TEXT[:, 1:])
    for layer in range(2):
        scores = {}
        for mode, reading in beside.met(layer).items():
            scores |= circuit_scores(reading.weights, layer, EVERY, 5, reading.between, mode)
        chances = of_circuits(beside, layer, scores, random)
        behind = {entry: chances[entry.name] for entry in BEHIND if entry.name in chances}
        assert len(behind) == (7 if layer else 0)
        for entry, kinds in behind.items():
            assert tuple(kinds) == entry.nulls
            assert all(((chance.p > 0) & (chance.p <= 1)).all() for chance in kinds.values())
