import math

from untrained import model

from pipeline.circuits.definitions.pairs import PAIRS


def test_levels_are_counted_from_the_models_sizes():
    weights = model(0)  # 12 tokens and as wide a stream, heads 4 wide
    levels = {entry.name: entry.levels(weights) for entry in PAIRS}
    for through in "QKV":
        assert levels[f"{through}_composition", "frobenius"] == (1 / math.sqrt(12), 1 / 2)
        assert levels[f"{through}_composition", "above_chance"] == (0, 1 / 2 - 1 / math.sqrt(12))
        assert levels[f"{through}_composition", "projection_kernel"] == (16 / 12, 4)
    assert levels["K_circuit", "top1_keys"] == levels["K_circuit", "top1_queries"] == levels["virtual", "top1"]
    assert levels["virtual", "top1"] == (1 / 12, 1)
    assert levels["K_circuit", "eigenvalue"] == levels["virtual", "eigenvalue"] == (0, 1)
    for definition in ("norm_share", "loss_removed"):
        assert all(math.isnan(number) for number in levels["virtual", definition])
