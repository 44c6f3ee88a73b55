"""On models that were never trained, chance finds as many significant heads as it says, and no more.

A rate of 5 % over 200 models of 16 heads has a standard error of some 0.4 % if heads are independent; the models' own
rates say what it is. Twice the rate lies more than four standard errors away, so that it would be noticed.
"""

from dataclasses import replace

import pytest
import torch

from pipeline.circuits.chance.false_discovery import false_discovery
from pipeline.circuits.definitions import measure_pairs
from pipeline.circuits.definitions.chance_of_heads import Draws, Reference, of_circuits, of_sequences, random_heads
from pipeline.circuits.definitions.chance_of_pairs import RandomPairs, of_pairs
from pipeline.circuits.definitions.measure_heads import circuit_scores, sequence_scores, text_scores
from pipeline.circuits.definitions.registry import HEADS
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores.induction import nearest
from pipeline.circuits.scores.subspaces import spans
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights

MODELS, LEVEL, PERIOD, LENGTH, D_VOCAB = 200, 0.05, 10, 33, 64
DRAWS = Draws(heads=800, pairs=100, ranks=400, tile=D_VOCAB, batch=16, sentences=16)
CONFIG = {"model_type": "attention_only", "n_layers": 2, "n_heads": 8, "d_model": 32, "n_ctx": LENGTH}
CONFIG |= {"d_vocab": D_VOCAB, "positions": "queries_and_keys"}
# Counts of few tokens have few values, and the scores of pairs are bounded where their draws are taken for normal: p
# is then larger than it need be.
FUZZY = [entry for entry in HEADS if entry.metric == "fuzzy_induction"]
CAUTIOUS = ("top1", "top5", "top1_unigram", "top1_keys", "top1_queries", "recall", "recall_64")


def untrained(seed, tied):
    model = AttentionOnly(AttentionOnlyConfig.from_dict(CONFIG | {"tied": tied}))
    model.initialise(1.0, 1.0, 0.3, torch.Generator().manual_seed(seed))
    parameters = model.state_dict()
    return to_weights(CONFIG | {"tied": tied}, parameters.__getitem__)


def sentences(generator):
    """[BEGIN] and blocks of distinct tokens; [BEGIN] and tokens of which few are frequent."""
    begin = torch.zeros(16, 1, dtype=torch.int64)
    blocks = torch.rand(16, D_VOCAB - 1, generator=generator).argsort(1)[:, :PERIOD].repeat(1, 4)[:, : LENGTH - 1]
    text = (torch.rand(16, LENGTH - 1, generator=generator) ** 2 * (D_VOCAB - 1)).long()
    return {PERIOD: torch.cat([begin, blocks + 1], 1), None: torch.cat([begin, text + 1], 1)}


def chances(seed, tied):
    """Every score's chances, of one untrained model; step 0 has the same embeddings, and heads of its own.

    Yields where the score is from (weights, text, periodic, pairs) and its kinds of chance by name.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    weights, before = untrained(seed, tied), untrained(5000 + seed, tied)
    before = replace(before, W_E=weights.W_E, W_U=weights.W_U, W_pos=weights.W_pos)
    ranked, sets = torch.arange(D_VOCAB), sentences(generator)
    reference = Reference.of(weights, before, ranked, DRAWS, generator)
    random = random_heads(reference, sets[None][:, 1:])
    for layer in range(2):
        scores = circuit_scores(weights, layer, ranked, D_VOCAB)
        yield "weights", of_circuits(reference, layer, scores, random)
    for period, tokens in sets.items():
        near = None if period else nearest(weights.W_E, ranked, 5, D_VOCAB)
        sequences = Tokens(tokens, 1, period, near=near)
        scores, _ = sequence_scores(weights, sequences, DRAWS.batch)
        if period is None:
            scores |= text_scores(weights, tokens, 1, scores["previous_token", "mean"].value, D_VOCAB)
        yield "text" if period is None else "periodic", of_sequences(reference, sequences, scores, random)
    scores = measure_pairs.composition_scores(weights, 0, 1)
    scores |= measure_pairs.circuit_scores(weights, 0, 1, ranked, D_VOCAB)
    sides = {layer: spans(weights, layer) for layer in range(2)}
    yield "pairs", of_pairs(reference, RandomPairs.of(reference, sides), 0, 1, scores, sets[None])


def p_values(models, tied):
    """p [model, head] of each (where, metric, definition, kind)."""
    of_models = {}
    for seed in range(models):
        of_model = {}
        for where, by_name in chances(seed, tied):
            for name, kinds in by_name.items():
                for null_kind, chance in kinds.items():
                    p = chance.p.flatten()
                    of_model.setdefault((where, *name, null_kind), []).append(p[~p.isnan()])
        for key, p in of_model.items():
            of_models.setdefault(key, []).append(torch.cat(p))
    return {key: torch.stack(p) for key, p in of_models.items()}


def rate(called):
    """The share that is called significant [model], over models: its mean and standard error."""
    return called.mean().item(), called.std().item() / len(called) ** 0.5


def first_choice(key):
    where, _, definition, null_kind = key
    if null_kind == "permuted_tokens":
        return definition != "diagonal_z"
    if null_kind == "gaussian":
        return definition in CAUTIOUS
    return null_kind == "rotation" or where in ("periodic", "text") or definition == "positional"


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_untrained_heads_are_called_significant_as_often_as_chance_says(tied):
    first = {key: p for key, p in p_values(MODELS, tied).items() if first_choice(key)}
    assert len(first) > 30
    families = []
    for key, p in first.items():
        share, error = rate((p <= LEVEL).double().mean(1))
        assert error < LEVEL / 4, key
        assert share < LEVEL + 4 * error, key
        cautious = key[2] in CAUTIOUS or key[:1] + key[2:3] == ("pairs", "eigenvalue")
        assert share > (0.005 if cautious else LEVEL - 4 * error), key
        families.append(
            torch.tensor([(false_discovery(of_model) < LEVEL).any() for of_model in p.double().numpy()]).double()
        )
    # Where no head does anything, every model with a significant one is a false discovery.
    share, error = rate(torch.stack(families, 1).mean(1))
    assert share < LEVEL + 4 * error


def test_an_untrained_head_is_as_often_fuzzy_as_chance_says():
    """The same of one score alone, on fewer models."""
    called = []
    for seed in range(30):
        weights, generator = untrained(seed, tied=bool(seed % 2)), torch.Generator().manual_seed(1000 + seed)
        every = torch.arange(D_VOCAB)
        sequences = Tokens(sentences(generator)[None], 1, near=nearest(weights.W_E, every, 5, D_VOCAB))
        scores, _ = sequence_scores(weights, sequences, DRAWS.batch, FUZZY)
        reference = Reference.of(weights, None, every, replace(DRAWS, heads=100), generator)
        chance = of_sequences(reference, sequences, scores, {})["fuzzy_induction", "near"]
        called.append((chance["renamed_tokens"].p <= LEVEL).double().mean())
    share, error = rate(torch.stack(called))
    assert error < LEVEL / 4
    assert abs(share - LEVEL) < 3 * error


@pytest.mark.slow
def test_permuted_tokens_mistake_the_trace_of_a_random_matrix_for_copying():
    p = p_values(40, tied=True)
    share, error = rate((p["weights", "copying", "diagonal_z", "permuted_tokens"] <= LEVEL).double().mean(1))
    assert share > 2 * LEVEL + 4 * error
