"""Composition of conf/ itself."""

import pytest

from pipeline.plumbing.compose import PROBES, compose, parse
from pipeline.plumbing.errors import ConfigError


def test_an_experiment_departs_from_conf_and_overrides_depart_from_both():
    plain = compose((), (), "base", 0)
    one_layer = compose((), (), "one_layer", 3)
    assert (plain["model"]["n_layers"], one_layer["model"]["n_layers"]) == (2, 1)
    assert (plain["seed"], one_layer["seed"], one_layer["train"]["seed"]) == (0, 3, 3)
    assert compose((), ("model.n_layers=4",), "one_layer", 0)["model"]["n_layers"] == 4


def test_what_stages_share_is_the_same_in_each():
    composed = compose(("model.n_ctx=40",), (), "base", 0)
    assert composed["probe"]["n_ctx"] == composed["challenge"]["n_ctx"] == composed["train"]["model"]["n_ctx"] == 40


def test_what_is_shared_within_a_choice_does_not_reach_another_choice():
    composed = compose(("data.packages=[python]",), ("data=repeated_tokens", "tokenizer=none"), "base", 0)
    assert "packages" not in composed["data"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.n_headz=4",), r"model\.n_headz=4: no such setting; did you mean model\.n_heads\?"),
        (("model=gpt2",), "model=gpt2: no such choice"),
        (("model=hub",), r"model\.path: not set; add overrides"),
    ],
)
def test_what_conf_does_not_know_is_one_line(overrides, message):
    with pytest.raises(ConfigError, match=message):
        compose((), overrides, "base", 0)


@pytest.mark.parametrize("override", ["+model.depth=3", "~model.n_heads"])
def test_keys_are_neither_added_nor_removed(override):
    with pytest.raises(ConfigError, match="conf/ names every key there is"):
        parse([override])


def test_heads_and_neurons_are_names_and_no_decimals():
    own = ("project.neurons=[19.170,3.1]", "project.heads=['23.9', 0.10]")
    project = compose((), own, "base", 0)["project"]
    assert project["neurons"] == ["19.170", "3.1"]
    assert project["heads"] == ["23.9", "0.10"]


@pytest.mark.parametrize("own", [(), ("train.first_checkpoint=${seed}",), ("data.packages=['p${seed}']",)])
def test_a_seed_goes_wherever_settings_refer_to_it(own):
    for seed in (0, 7, 7, PROBES[0]):
        composed = compose((), own, "base", seed)
        assert composed["train"]["seed"] == composed["seed"] == seed
        if own and "first" in own[0]:
            assert composed["train"]["first_checkpoint"] == seed
        if own and "packages" in own[0]:
            assert composed["data"]["packages"] == [f"p{seed}"]
