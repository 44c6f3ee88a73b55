import pytest
import torch

from pipeline.circuits.terms import sources
from pipeline.circuits.transformer import attention, layers
from pipeline.models.families import to_weights
from pipeline.models.injected.bug import CLEAN, Bug, unchanged

TWICE = Bug(
    "twice", "terms", (), functions={"pipeline.circuits.transformer.attention.scores": lambda right: twice(right)}
)
USERS = (attention, layers, sources)  # where it is and where it was imported to


def twice(scores):
    return lambda query, key: 2 * scores(query, key)


def test_without_a_bug_a_model_is_read_as_ever(read, checkpoints):
    with read(CLEAN, "bert") as weights:
        for name, value in vars(to_weights(*checkpoints["bert"])).items():
            other = getattr(weights, name)
            assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other, name


def test_a_function_is_wrong_wherever_it_is_used_until_the_context_ends(read):
    right, query, key = attention.scores, torch.ones(1, 4), torch.ones(1, 4)
    with read(TWICE, "gpt2"):
        assert [user.scores(query, key).item() for user in USERS] == [4, 4, 4]
    with pytest.raises(RuntimeError, match="within"), read(TWICE, "gpt2"):
        raise RuntimeError("within")
    assert all(user.scores is right for user in USERS)


def test_config_family_and_weights_are_changed_in_this_order(read):
    bug = Bug(
        "all",
        "terms",
        (),
        config=lambda config: config | {"layer_norm_epsilon": 0.5},
        family=lambda family: unchanged(family),
        weights=lambda weights: {"eps": weights.ln_eps},
    )
    with read(bug, "gpt2") as found:
        assert found == {"eps": 0.5}
