import math

import numpy as np
import pytest
from constructions import construction, repeated, sentences

from pipeline.circuits.closed_forms import of_effects
from pipeline.circuits.closed_forms.mechanism import follow


def test_orders_begin_with_the_direct_path_and_end_with_the_model():
    wired = construction("v_composition")
    text = sentences(wired)
    orders = [of_effects.by_order(wired, text)["loss", f"order_{order}"] for order in range(3)]
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


def test_a_contribution_is_of_the_token_that_comes_less_the_mean():
    """Token 1 comes after the first row, 0 after the second; nothing comes after the third."""
    logits = np.array([[0.0, 6.0, 0.0], [3.0, 0.0, 0.0], [9.0, 9.0, 9.0]])
    assert of_effects.contribution([(logits, [2, 1, 0])]) == ((6 - 2) + (3 - 1)) / 2


def test_without_the_layer_below_an_induction_head_knows_nothing():
    wired = construction("induction", position_gain=40.0, match_gain=40.0)
    text = [follow(wired, repeated(5, 2))]
    lower = of_effects.without_head(wired, text, 0)
    assert lower["ablation", "zero"] > 0
    assert lower["ablation", "pattern_preserving"] == pytest.approx(0)  # it only decides where to look
    edges = of_effects.without_edge(wired, text)
    assert edges["edge", "K"] == pytest.approx(lower["ablation", "zero"])
    assert edges["edge", "Q"] == edges["edge", "V"] == 0
