import torch
from known_plan import PLAN, sentences

from pipeline.models.known_heads import FUNCTIONS, Recipe, known_models, random
from pipeline.models.sequences import Copies
from pipeline.models.training import Optimisation

COUNTS = {"wired": 2, "disguised": 2, "weak": 3, "resting": 2, "noisy": 2, "trained": 2, "look_alike": 2}


def test_every_kind_is_reached():
    recipe = Recipe(sentences(), Copies(0.5, 3, 5), 4, Optimisation(1, 1e-3, 1, 0.3, 0.9, 0.98, 1e-8, 0.0))
    models = list(known_models(COUNTS, PLAN, recipe, sentences(), torch.Generator().manual_seed(0)))
    kinds = [model.kind for model in models]
    assert {kind: kinds.count(kind) for kind in COUNTS} == COUNTS
    for function in FUNCTIONS:
        known = {of_head[function] for model in models for of_head in model.plays.values() if function in of_head}
        assert known == {True, False}


def test_heads_that_were_never_trained_do_nothing():
    model = random(PLAN, torch.Generator().manual_seed(0))
    assert [*model.plays.values()] == [dict.fromkeys(FUNCTIONS, False)] * 8
