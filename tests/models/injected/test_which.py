"""Groups of models, by what their weights have."""

import pytest
import torch

from pipeline.circuits.scores.held import adds_up
from pipeline.models.injected import which
from pipeline.models.injected.bug import CLEAN
from pipeline.models.tiny import NAMES

HAS = {  # of models in EVERY, those in a group and no others have it
    "TOY": lambda weights: weights.ln1_gain is None,
    "UNCENTRED": lambda weights: weights.norm == "rms",
    "GATED": lambda weights: weights.ff_gates is not None,
    "GROUPED": lambda weights: torch.equal(weights.W_K[:, 0], weights.W_K[:, 1]),
    "PARTIAL": lambda weights: weights.positions == "rotary" and 2 * len(weights.rotary_frequency) < weights.d_head,
    "WHOLE": lambda weights: weights.positions == "rotary" and 2 * len(weights.rotary_frequency) == weights.d_head,
    "TWO_NORMS": lambda weights: weights.ln2_gain is not None and not torch.equal(weights.ln1_gain, weights.ln2_gain),
    "SILU": lambda weights: weights.activation == "silu",
    "EMBEDDING_SCALED": lambda weights: weights.embed_scale != 1 and weights.gain_from == 1,
    "CAPPED": lambda weights: weights.score_cap is not None and weights.ln1_post_gain is not None,
    "ADDING_UP": lambda weights: weights.ln1_gain is not None and adds_up(weights),
    "SMOOTH": lambda weights: weights.activation not in (None, "relu"),
    "SHIFTED": lambda weights: weights.ln1_bias is not None,
    "GAINED": lambda weights: weights.ln1_gain is not None and not (weights.ln1_gain == 1).all(),
    "BIASED_LOGITS": lambda weights: weights.b_U is not None,
    "IN_STREAM": lambda weights: weights.positions == "residual",
    "PARALLEL": lambda weights: weights.residual == "parallel",
    "GELU": lambda weights: weights.activation == "gelu",
    "GELU_BY_TANH": lambda weights: weights.activation in ("gelu_new", "gelu_pytorch_tanh"),
    "ROTARY": lambda weights: weights.positions == "rotary",
    "CENTRED": lambda weights: weights.ln1_gain is not None and weights.norm == "layer",
    "NORMED": lambda weights: weights.ln1_gain is not None,
    "NORMED_BEFORE": lambda weights: weights.ln1_gain is not None and weights.norm_place == "before",
    "BIASED": lambda weights: None not in (weights.b_Q, weights.b_O, weights.ff_key_bias),
    "LEARNED": lambda weights: weights.W_pos is not None,
    "BACKWARD": lambda weights: weights.attends == "back",
    "SEQUENTIAL": lambda weights: (
        weights.ff_keys is not None and weights.residual == "sequential" and weights.norm_place == "before"
    ),
    "TIED": lambda weights: (weights.W_E.mT == weights.W_U).all(),
    "UNTIED": lambda weights: not (weights.W_E.mT == weights.W_U).all(),
    "SCALED": lambda weights: False,
}


@pytest.mark.parametrize("group", HAS)
def test_a_group_is_of_models_that_have_it(group, read):
    models = getattr(which, group)
    assert set(models) <= set(NAMES)
    for name in which.EVERY:
        with read(CLEAN, name) as weights:
            assert bool(HAS[group](weights)) == (name in models), name
    for name in set(models) - set(which.EVERY) - set(which.SCALED):
        with read(CLEAN, name) as weights:
            assert HAS[group](weights), name
