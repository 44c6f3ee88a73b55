import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights

from pipeline.circuits.transformer.forward import forward


@pytest.mark.parametrize("check", EVERY_FAMILY)
def test_a_gpt_neo_is_rebuilt(check, save):
    check(save, "gpt_neo")


def test_scores_are_products_of_queries_and_keys_divided_by_nothing(save):
    model, weights = saved_weights(save, "gpt_neo")
    trace = forward(weights, torch.arange(5)[None])
    layer = model.transformer.h[1]
    read = layer.ln_1(trace.resid[:, 1])
    query, key = (getattr(layer.attn.attention, f"{side}_proj")(read)[0, :, 6:12] for side in "qk")
    torch.testing.assert_close(trace.scores[0, 1, 1], query @ key.T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kinds", "window"), [(["global", "local", "global"], 12), (["global"] * 3, None)])
def test_a_window_counts_where_some_layer_has_it(kinds, window, save):
    assert saved_weights(save, "gpt_neo", shape={"attention_types": [[kinds, 1]]})[1].window == window
