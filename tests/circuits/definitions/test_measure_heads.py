import math
from dataclasses import replace

import pytest
import torch
from hand_wired import shifter_and_matcher

from pipeline.circuits.definitions.definition import OfPass, OfPattern, OfRelation
from pipeline.circuits.definitions.heads import BEHIND
from pipeline.circuits.definitions.measure_heads import (
    challenge_scores,
    circuit_scores,
    circuits_of,
    prefix_circuits,
    products_between,
    readings_of,
    relation_hits,
    sequence_scores,
    text_ranks,
    text_scores,
)
from pipeline.circuits.definitions.registry import HEADS, measured_as
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores import head_patterns
from pipeline.circuits.scores.challenges import RIVALS, predictable
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.word_pairs import RELATIONS

D_VOCAB, N_HEADS = 20, 2
EVERY = torch.arange(D_VOCAB)


def random_weights():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    return Weights("none", random(D_VOCAB, 8), random(8, D_VOCAB), W_O=random(2, N_HEADS, 4, 8), **tall)


W = random_weights()


def eigenvalue(circuit):
    z = torch.linalg.eigvals(circuit)
    return (z.sum().real / z.abs().sum()).item()


def diagonal_z(circuit):
    return ((circuit.diagonal().mean() - circuit.mean()) / circuit.std(correction=0)).item()


def top(circuit, k):
    """Share of rows with their diagonal entry among their k largest."""
    return (circuit.topk(k).indices == EVERY[:, None]).any(-1).double().mean().item()


def test_scores_of_circuits_are_those_of_dense_circuits():
    scores = circuit_scores(W, 1, EVERY, tile=7)
    for head in range(N_HEADS):
        copies = W.W_E @ W.W_V[1, head] @ W.W_O[1, head] @ W.W_U
        matches = W.W_E @ W.W_Q[1, head] @ W.W_K[1, head].mT @ W.W_E.mT
        assert {name: score.value[head].item() for name, score in scores.items()} == pytest.approx(
            {
                ("copying", "eigenvalue"): eigenvalue(copies),
                ("copying", "eigenvalue_stream"): eigenvalue(W.W_V[1, head] @ W.W_O[1, head]),
                ("copying", "diagonal_z"): diagonal_z(copies),
                ("copying", "top1"): top(copies, 1),
                ("copying", "top5"): top(copies, 5),
                ("copy_suppression", "bottom10"): top(-copies, 10),
                ("same_token_preference", "diagonal_z"): diagonal_z(matches),
                ("same_token_preference", "eigenvalue"): eigenvalue(matches),
            }
        )


def test_chance_of_an_accuracy_is_k_of_the_vocabulary():
    scores = circuit_scores(W, 0, EVERY, 7)
    assert scores["copying", "top5"].chance == 5 * scores["copying", "top1"].chance == 5 / D_VOCAB


def test_the_ideal_is_what_a_head_wired_to_be_perfect_gets():
    """Heads 8 wide that project on waves over the 20 tokens: no wave is constant, and all peak at the token."""
    angles = 2 * math.pi / 20 * torch.arange(20.0).double()[:, None] * torch.arange(1, 5)
    waves = torch.cat([angles.cos(), angles.sin()], -1) / math.sqrt(10)
    same = {name: waves.expand(2, 1, -1, -1) for name in ("W_Q", "W_K", "W_V")}
    eye = torch.eye(20, dtype=torch.float64)
    weights = Weights("none", eye, eye, W_O=waves.mT.expand(2, 1, -1, -1), **same)
    scores = circuit_scores(weights, 0, EVERY, 20)
    suppression = ("copy_suppression", "bottom10")
    assert scores[suppression].value.item() == 0
    scores[suppression] = circuit_scores(replace(weights, W_O=-weights.W_O), 0, EVERY, 20)[suppression]
    for name, score in scores.items():
        assert score.value.item() == pytest.approx(score.ideal), name


def test_positions_are_scored_where_there_are_any():
    generator = torch.Generator().manual_seed(5)
    W_pos = torch.randn(70, 8, generator=generator, dtype=torch.float64)
    scores = circuit_scores(replace(W, positions="residual", W_pos=W_pos), 1, EVERY, 7)
    for head in range(N_HEADS):
        dense = W_pos @ W.W_Q[1, head] @ W.W_K[1, head].mT @ W_pos.mT
        hits = [
            (dense[query, : length - 1].argmax() == query - 1).double()
            for length in (70, 64)
            for query in range(1, length)
        ]
        assert scores["previous_token", "recall"].value[head].item() == sum(hits[:69]).item() / 69
        assert scores["previous_token", "recall_64"].value[head].item() == sum(hits[69:]).item() / 63
        rows = [(dense[query, : query + 1] / 2).softmax(0)[query - 1] for query in range(1, 70)]
        assert scores["previous_token", "positional"].value[head].item() == pytest.approx(sum(rows).item() / 69)
    assert scores["previous_token", "recall_64"].chance == 1 / 63
    assert ("previous_token", "recall") not in circuit_scores(W, 1, EVERY, 7)
    gains = {"ln1_gain": torch.ones(2, 8), "ln_final_gain": torch.ones(8)}
    normed = circuit_scores(replace(W, W_pos=W_pos, **gains), 1, EVERY, 7)
    assert ("previous_token", "recall") in normed
    assert ("previous_token", "positional") not in normed


@pytest.mark.parametrize("batch", [1, 3])
def test_pattern_scores_are_weighted_means_over_sentences(batch):
    weights = replace(W, W_Q=W.W_Q / 30)  # so that no row rests on one key wholly
    tokens = torch.tensor([[0, 1, 2, 1, 2, 1], [0, 3, 4, 5, 6, 3], [0, 3, 4, 5, 6, 7]])
    scores, _ = sequence_scores(weights, Tokens(tokens, first=1), batch)
    pattern = forward(weights, tokens).pattern
    rest = pattern[..., 1:, 1:] / pattern[..., 1:, 1:].sum(-1, keepdim=True)
    views = {True: (pattern, Tokens(tokens, first=1)), False: (rest, Tokens(tokens[:, 1:], first=0))}
    made = {
        entry.name: (views[measure.begin][0], measure.template(views[measure.begin][1]))
        for entry, measure in measured_as(OfPattern, HEADS)
    }
    whole = {name: view for name, view in made.items() if view[1] is not None}
    assert set(scores) == set(whole) | {entry.name for entry, _ in measured_as(OfPass, HEADS)}
    for name, (of_view, template) in whole.items():
        torch.testing.assert_close(scores[name].value, head_patterns.score(of_view, template))
        assert scores[name].weight[:, 0, 0].tolist() == template.weight.sum(-1).tolist()
        alone = sequence_scores(weights, Tokens(tokens[:1], first=1), batch=1)[0][name]
        torch.testing.assert_close(scores[name].sentences[0], alone.value)
    # Three queries of the first sentence and one of the second repeat a token.
    assert scores["induction", "mass"].weight[:, 0, 0].tolist() == [3, 1, 0]
    assert scores["induction", "mass"].sentences[2].isnan().all()
    assert scores["induction", "mass"].ideal == pytest.approx(1)
    # Their targets: 1 at 3, 1 at 4, 2 at 5 (both followers of `1`), and 1 in the second sentence.
    assert scores["induction", "entry_mean"].ideal == pytest.approx(4 / 5)
    assert scores["induction", "detector_mul"].ideal == pytest.approx(4 / 18)


def test_a_head_that_copies_what_it_attends_to_has_an_olsson_score_of_one():
    """One head attends to the token before and writes it back, but [BEGIN], outside the sample, as another."""
    tokens = torch.tensor([[0, 1, 2, 3, 4, 1, 2, 3, 4], [0, 4, 2, 1, 3, 4, 2, 1, 3]])
    length, width = tokens.shape[1], tokens.shape[1]
    eye = torch.eye(width, dtype=torch.float64)
    token, position = torch.cat([eye, 0 * eye], 1)[:5], torch.cat([0 * eye, eye], 1)
    before = eye[torch.arange(length).sub(1).clamp(min=0)]
    read = eye[torch.tensor([3, 1, 2, 3, 4])]
    head = {"W_Q": 1e4 * position.mT @ before, "W_K": position.mT, "W_V": token.mT @ read}
    weights = Weights(
        positions="queries_and_keys",
        W_E=token,
        W_U=token.mT,
        W_pos=position,
        W_O=(eye[:5].mT @ token)[None, None],
        **{name: matrix[None, None] for name, matrix in head.items()},
    )
    scores, losses = sequence_scores(weights, Tokens(tokens, first=1, period=4), batch=1)
    assert scores["copying", "olsson"].value.item() == pytest.approx(1)
    assert scores["previous_token", "mean"].value.item() == pytest.approx(1)
    assert losses.shape == tokens.shape


def test_every_definition_gives_the_network_wired_by_hand_what_it_calls_ideal():
    block, repeats = 6, 3
    tokens = torch.tensor([[0, *list(range(1, block + 1)) * repeats]])
    network = shifter_and_matcher(block + 1, tokens.shape[1], 60.0)
    scores, _ = sequence_scores(network, Tokens(tokens, first=1, period=block), batch=1)
    for name, score in scores.items():
        if name[0] == "previous_token":
            assert score.value[0, 0].item() == pytest.approx(score.ideal), name
        if name[0] == "induction":
            # Where nothing matches, this head looks everywhere alike, and two such entries lie on the stripe.
            stripe, length = {"stripe": (1 / block + 1 / (block + 1), 19), "stripe_no_begin": (1 / block, 18)}.get(
                name[1], (0, 19)
            )
            rest = stripe / (length - block + 1)
            assert score.value[1, 0].item() == pytest.approx(score.ideal + rest), name
    assert scores["copying", "olsson"].ideal == 1


def resting(score, block=6, repeats=3):
    """A perfect induction head whose queries all match [BEGIN] too, by this score."""
    tokens = torch.tensor([[0, *list(range(1, block + 1)) * repeats]])
    network = shifter_and_matcher(block + 1, tokens.shape[1], 60.0)
    network.W_K[1, 0, 0, : block + 1] = score / 60.0  # [BEGIN] holds something of every token
    return sequence_scores(network, Tokens(tokens, first=1, period=block), batch=1)[0]


def test_without_begin_a_head_is_what_it_would_be_if_it_did_not_rest_there():
    """[BEGIN] draws as much attention as a target: of one target half, of two a third."""
    scores, alone = resting(60.0), resting(0.0)
    assert scores["induction", "mass"].value[1, 0].item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    for definition in ("mass", "entry_mean", "most_recent"):
        twin = scores["induction", f"{definition}_no_begin"]
        assert twin.value[1, 0].item() == pytest.approx(alone["induction", definition].value[1, 0].item())
        assert twin.ideal == pytest.approx(alone["induction", definition].ideal)
    # What even attention gives: of the second copy's queries one of 7, 8, ... 12 keys, of the third's two of 13 ... 18.
    chance = (sum(1 / keys for keys in range(7, 13)) + sum(2 / keys for keys in range(13, 19))) / 12
    assert scores["induction", "mass_no_begin"].chance == pytest.approx(chance)


def test_where_all_attention_rests_on_begin_nothing_is_known_of_the_rest():
    scores = resting(1000.0)
    assert scores["induction", "mass"].value[1, 0].item() == 0
    assert scores["induction", "mass_no_begin"].value[1, 0].isnan()
    assert scores["induction", "mass_no_begin"].weight[:, 1, 0].tolist() == [0]
    assert scores["previous_token", "mean_no_begin"].value[0, 0].item() == pytest.approx(1)  # the other head's


def test_sequences_without_begin_are_not_scored_without_it():
    tokens = torch.tensor([[3, 1, 2, 1, 2, 1]])
    names = set(sequence_scores(W, Tokens(tokens, first=0), 1)[0])
    assert ("induction", "mass") in names
    assert not [name for name in names if name[1].endswith("_no_begin")]


FIVE, FIRST_FIVE = torch.eye(5, dtype=torch.float64), torch.arange(5)[None]


def one_hot(ov, n_layers=1):
    """A model whose stream is the vocabulary, with one head a layer: every matrix the identity but for W_V."""
    same = FIVE.expand(n_layers, 1, -1, -1)
    return Weights("none", W_E=FIVE, W_U=FIVE, W_Q=same, W_K=same, W_V=ov.expand(n_layers, 1, -1, -1), W_O=same)


def test_a_token_counts_as_often_as_it_occurs():
    copies_some = torch.diag(torch.tensor([0, 1, 0, 1, 1]).double())  # a row of zeros is no copy
    text = torch.tensor([[0, 1, 1, 2], [0, 3, 2, 2]])
    no_one = torch.zeros(1, 1)
    score = text_scores(one_hot(copies_some), text, 1, no_one, tile=2)["copying", "top1_unigram"]
    assert score.value.item() == pytest.approx(3 / 6)
    assert score.sentences[:, 0, 0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert score.chance == 1 / 5


def test_every_token_alike_gives_the_share_over_the_vocabulary():
    generator = torch.Generator().manual_seed(0)
    ov = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    every = torch.arange(5)[None]
    score = text_scores(one_hot(ov), every, 0, torch.zeros(1, 1), tile=3)["copying", "top1_unigram"]
    assert score.value.item() == (ov.argmax(-1) == torch.arange(5)).double().mean()


def test_a_head_fed_by_one_that_looks_back_matches_prefixes():
    previous = torch.tensor([[0.5], [0.25], [1.0]])
    scores = text_scores(one_hot(2 * FIVE, n_layers=3), FIRST_FIVE, 0, previous, tile=5)
    trace, ratio = (scores["induction", f"prefix_{name}"].value[:, 0] for name in ("trace", "ratio"))
    assert trace[1:].tolist() == pytest.approx([0.5 * 2 * 5, 0.75 * 2 * 5])
    assert ratio[1:].tolist() == pytest.approx([1, 1])
    assert trace[0].isnan()
    assert ratio[0].isnan()


def test_a_head_that_turns_what_it_carries_around_matches_the_opposite():
    scores = text_scores(one_hot(-FIVE, n_layers=2), FIRST_FIVE, 0, torch.ones(2, 1), tile=5)
    assert scores["induction", "prefix_ratio"].value[1].item() == pytest.approx(-1)


# 0 begins; 1 is followed by 2, then by 3, then comes a third time; 5 4 6 and 7 4 8 before a last 7 4.
AMBIGUOUS = torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5], [0, 1, 2, 1, 3, 9, 6, 1, 7]])
TOLD_APART = torch.tensor([[0, 5, 4, 6, 7, 4, 8, 7, 4, 1], [0, 5, 4, 6, 7, 4, 8, 5, 4, 1]])
REPEATED = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 1, 4], [0, 4, 3, 9, 9, 3, 9, 4, 3]])


def followers(row, query):
    """Keys after an earlier occurrence of the query's token; position 0 is [BEGIN]."""
    return [key for key in range(2, query + 1) if row[key - 1] == row[query]]


def network(d_vocab=10, length=10):
    """Two layers of three random heads."""
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    heads = {name: random(2, 3, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    ends = {"W_E": random(d_vocab, 8), "W_U": random(8, d_vocab), "W_pos": random(length, 8)}
    return Weights(positions="queries_and_keys", W_O=random(2, 3, 4, 8), **heads, **ends)


def pooled_by_hand(scores, name, pairs):
    """Compare a score with its mean over [(sentence, value)], and its parts with those of each sentence."""
    values = torch.stack([value for _, value in pairs])
    torch.testing.assert_close(scores[name].value, values.mean(0))
    for sentence, score in enumerate(scores[name].sentences):
        mine = [value for place, value in pairs if place == sentence]
        assert scores[name].weight[sentence].unique().tolist() == [len(mine)]
        assert not mine or torch.allclose(score, torch.stack(mine).mean(0))


@pytest.mark.parametrize("batch", [1, 2])
def test_heads_are_scored_over_queries_that_have_a_target(batch):
    weights, rows = network(), REPEATED.tolist()
    pattern = forward(weights, REPEATED).pattern
    scores = challenge_scores(weights, Tokens(REPEATED, 1), batch)
    queries = [(s, q, keys) for s, row in enumerate(rows) for q in range(len(row)) if (keys := followers(row, q))]
    pairs = [(s, pattern[s, :, :, q, keys].sum(-1)) for s, q, keys in queries]
    pooled_by_hand(scores, ("induction", "mass"), pairs)
    chance = sum(len(keys) / (q + 1) for _, q, keys in queries) / len(queries)
    assert scores["induction", "mass"].chance == pytest.approx(chance)


def test_predictions_are_scored_by_whether_a_repeat_foretells_them():
    weights = network()
    logits = forward(weights, REPEATED).logits
    losses = token_losses(logits, REPEATED)
    told = predictable(REPEATED, Tokens(REPEATED, 1).targets)
    scores = challenge_scores(weights, Tokens(REPEATED, 1), 2)
    places = [(s, p) for s in range(len(REPEATED)) for p in range(1, REPEATED.shape[1])]
    repeated = [(s, losses[s, p]) for s, p in places if told[s, p]]
    pooled_by_hand(scores, ("loss", "repeated"), repeated)
    pooled_by_hand(scores, ("loss", "novel"), [(s, losses[s, p]) for s, p in places if not told[s, p]])
    right = [(s, (logits[s, p - 1].argmax() == REPEATED[s, p]).double()) for s, p in places if told[s, p]]
    pooled_by_hand(scores, ("accuracy", "repeated"), right)
    assert scores["loss", "novel"].chance == pytest.approx(math.log(10))
    assert scores["accuracy", "repeated"].chance == pytest.approx(0.1)


@pytest.mark.parametrize(("tokens", "context"), [(AMBIGUOUS, 1), (TOLD_APART, 2)])
def test_logits_of_the_two_continuations_are_compared(tokens, context):
    weights = network()
    logits = forward(weights, tokens).logits
    sequences = Tokens(tokens, 1, context=context)
    scores = challenge_scores(weights, sequences, 2)
    keys = [rival.nonzero().tolist() for rival in sequences.rivals]
    differences = [
        (s, logits[s, q, tokens[s, first]] - logits[s, q, tokens[s, second]])
        for (s, q, first), (_, _, second) in zip(*keys, strict=True)
    ]
    definition = "_minus_".join(RIVALS[context])
    pooled_by_hand(scores, ("logit_difference", definition), differences)
    pooled_by_hand(scores, ("preference", definition), [(s, (value > 0).double()) for s, value in differences])


def test_what_no_query_tells_has_no_value():
    scores = challenge_scores(network(), Tokens(torch.tensor([[0, 1, 2, 3, 4]]), 1, context=1), 1)
    for name in (("induction", "mass"), ("induction", "recent"), ("loss", "repeated")):
        assert scores[name].value.isnan().all()
    assert scores["loss", "novel"].value.isfinite()


@pytest.mark.parametrize("name", ["OV", "QK", "stream"])
@pytest.mark.parametrize("between", [None, products_between(W)])
def test_a_heads_own_circuits(name, between):
    circuit = circuits_of(W, (1, 0), between)[name]
    dense = {
        "OV": W.W_E @ W.W_V[1, 0] @ W.W_O[1, 0] @ W.W_U,
        "QK": W.W_E @ W.W_Q[1, 0] @ W.W_K[1, 0].mT @ W.W_E.mT,
        "stream": W.W_V[1, 0] @ W.W_O[1, 0],
    }
    torch.testing.assert_close(circuit.whole_cross.trace(), dense[name].double().trace())
    torch.testing.assert_close(circuit.deviation, dense[name].double().std(correction=0))
    expected = torch.linalg.eigvals(dense[name].double()).abs().sum()
    torch.testing.assert_close(torch.linalg.eigvals(circuit.whole_cross).abs().sum(), expected)


def permuting():
    """A model whose first feed-forward part makes another token of each; the head of layer 1 takes them back."""
    eye, order = torch.eye(D_VOCAB, dtype=torch.float64), EVERY.roll(3)
    heads = {name: torch.zeros(2, 1, D_VOCAB, D_VOCAB, dtype=torch.float64) for name in ("W_Q", "W_K", "W_V", "W_O")}
    heads["W_V"][:, 0], heads["W_O"][:, 0] = eye[order].T, eye
    heads["W_Q"][:, 0], heads["W_K"][:, 0] = eye, eye[order]  # a token looks for what it is made to
    neurons = {"ff_keys": eye.expand(2, -1, -1), "ff_values": torch.stack([eye[order] - eye, 0 * eye])}
    return Weights("none", W_E=eye, W_U=eye, **heads, **neurons, activation="relu")


def test_copying_of_permuted_tokens_is_seen_behind_the_first_feed_forward_part_alone():
    """Raw, the circuit is a shift: no eigenvalue adds up, no token is its own. Queries are permuted as keys are."""
    readings, scores = readings_of(permuting()), {}
    for mode, reading in readings.items():
        scores |= circuit_scores(reading.weights, 1, EVERY, 7, reading.between, mode)
        scores |= text_ranks(reading.weights, EVERY[None], 7, mode)
    z = (D_VOCAB - 1) ** 0.5
    expected = {
        ("copying", "eigenvalue"): (0, 1),
        ("copying", "diagonal_z"): (-1 / z, z),
        **{("copying", definition): (0, 1) for definition in ("top1", "top5", "top1_unigram")},
        ("copy_suppression", "bottom10"): (0, 0),
        ("same_token_preference", "eigenvalue"): (0, 0),
        ("same_token_preference", "diagonal_z"): (-1 / z, -1 / z),
    }
    for (metric, definition), values in expected.items():
        found = [scores[metric, f"{definition}{read}"].value.flatten()[-1].item() for read in ("", "_after_mlp0")]
        assert found == pytest.approx([*values], abs=1e-9), (metric, definition)
    assert set(scores) >= {entry.name for entry in BEHIND if not isinstance(entry.measure, OfRelation)}
    assert scores["copying", "top1_unigram_after_mlp0"].value[0].isnan().all()
    behind = readings["after_mlp0"]
    opposite = replace(behind.weights, W_O=-behind.weights.W_O)
    suppressed = circuit_scores(opposite, 1, EVERY, 7, emb_mode="after_mlp0")
    assert suppressed["copy_suppression", "bottom10_after_mlp0"].value.item() == 1


def test_relations_are_read_behind_the_first_feed_forward_part_as_before_it():
    """Raw, each token leads to the one three places on; behind, to itself."""
    to_itself, onward = (torch.stack([EVERY, EVERY.roll(-shift)]) for shift in (0, 3))
    for pairs, hit in ((onward, "embedding"), (to_itself, "after_mlp0")):
        for mode, reading in readings_of(permuting()).items():
            relations = dict.fromkeys(RELATIONS, pairs)
            found = relation_hits(reading.weights, 1, relations, mode)
            assert {entry.definition.endswith("_after_mlp0") for entry in found} == {mode == "after_mlp0"}
            for of_entry in found.values():
                assert of_entry[0].diagonal().all() == (mode == hit)


def test_prefix_circuits_are_small_and_have_the_trace_and_eigenvalues_of_the_dense_ones():
    previous = torch.tensor([[0.9, 0.1], [0.3, 0.0]])
    [layer] = prefix_circuits(W, previous)
    carried = sum(share * W.W_V[0, head] @ W.W_O[0, head] for head, share in enumerate(previous[0]))
    for head, circuit in enumerate(layer):
        dense = W.W_E @ W.W_Q[1, head] @ (W.W_E @ carried @ W.W_K[1, head]).mT
        torch.testing.assert_close(circuit.whole_cross.trace(), dense.trace())
        small, large = torch.linalg.eigvals(circuit.whole_cross).abs(), torch.linalg.eigvals(dense).abs()
        torch.testing.assert_close(small.sort().values, large.sort().values[-len(small) :])
        assert circuit.size == 8 < D_VOCAB


EVEN = (1 / 5 + 1 / 8 + 1 / 7) / 3  # attention of the three queries that have a near target, to one key


@pytest.mark.parametrize(("fuzzy", "value"), [(True, 1), (False, EVEN)])
def test_a_wired_fuzzy_head_looks_at_what_followed_near_tokens(fuzzy, value):
    """Tokens 2n and 2n + 1 are near; each sentence has both of one pair, and no token twice.

    The second head matches what was shifted with the other of the query's pair, or with the query's own token; where
    there is none it looks everywhere alike.
    """
    d_vocab = 14
    weights, other = shifter_and_matcher(d_vocab, 8, 400.0), torch.arange(d_vocab) ^ 1
    if fuzzy:
        weights.W_Q[1, 0, :d_vocab] = weights.W_Q[1, 0, other]
    tokens = torch.tensor([[0, 2, 4, 6, 3, 8, 10, 12], [0, 4, 6, 9, 12, 2, 10, 8], [0, 2, 7, 4, 12, 10, 6, 8]])
    scores, _ = sequence_scores(weights, Tokens(tokens, 1, near=other[:, None]), batch=2)
    found = scores["fuzzy_induction", "near"]
    assert found.value[1, 0].item() == pytest.approx(value)
    assert ("fuzzy_induction", "near") not in sequence_scores(weights, Tokens(tokens, 1), batch=2)[0]
