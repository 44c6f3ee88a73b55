import copy
import json

import pytest

from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.needs import MEMORY, TIME, TRAINED, TRAINING, Need, check_needs, check_together
from pipeline.plumbing.planner import plan
from pipeline.plumbing.request import Request

USUAL = compose((), (), "base", 0)
AREA = Need("an area", 3, ("model.d_model", "model.d_model", "model.n_layers"))


def changed(**settings):
    cfg = copy.deepcopy(USUAL)
    for place, value in settings.items():
        group, key = place.split("__")
        cfg[group][key] = value
    return cfg


def test_a_need_is_a_product_of_settings():
    assert AREA.of(changed(model__d_model=10, model__n_layers=2)) == 3 * 10 * 10 * 2
    assert AREA.of(changed(model__d_model=10**400, model__n_layers=2)) == pytest.approx(6e60)  # counts as 1e30


@pytest.mark.parametrize("value", [None, "many", True, float("inf"), float("nan")])
def test_what_is_no_number_needs_nothing_that_is_known(value):
    assert AREA.of(changed(model__n_layers=value)) is None


def test_the_setting_furthest_above_conf_is_blamed():
    assert AREA.blamed(changed(model__d_model=1024, model__n_layers=4), USUAL) == "model.d_model"
    assert AREA.blamed(changed(model__d_model=512, model__n_layers=40), USUAL) == "model.n_layers"


@pytest.mark.parametrize("need", [*TRAINED, *MEMORY, *TRAINING, *TIME], ids=lambda need: " ".join(need.keys))
def test_every_need_is_of_settings_that_there_are(need):
    ids = compose((), ("data=repeated_tokens", "tokenizer=none", "tokenizer.d_vocab=130"), "base", 0)
    assert need.of(USUAL) or need.of(ids)


def test_a_model_is_refused_from_where_its_state_fills_the_memory():
    # An embedding and an unembedding, each with a gradient and two means, of 4 bytes a number: 32 d_vocab d_model.
    fits = changed(tokenizer__d_vocab=10**6, model__n_layers=1, train__batch=1, train__checkpoints=2)
    fits["limits"] = fits["limits"] | {"memory_gb": 32 * 10**6 * 256 / 1e9}
    check_needs(fits, USUAL)
    fits["limits"]["memory_gb"] *= 0.999
    with pytest.raises(ConfigError, match=r"tokenizer\.d_vocab=1000000: embeddings, .* 8\.19 GB; .* conf/ has 1024"):
        check_needs(fits, USUAL)


def test_steps_are_refused_from_where_they_take_too_long():
    # 7 days of a millisecond each; a network so small that nothing else counts.
    tiny = {"model__d_model": 4, "model__n_layers": 1, "train__batch": 1}
    check_needs(changed(**tiny, train__steps=7 * 86400 * 1000), USUAL)
    with pytest.raises(ConfigError, match=r"train\.steps=604800001: turns of a millisecond would need 7 days"):
        check_needs(changed(**tiny, train__steps=7 * 86400 * 1000 + 1), USUAL)


@pytest.mark.parametrize("study", ["paper", "smoke", "again"])
def test_studies_are_far_below_the_limits(study):
    request = Request.of_study(study)
    for experiment in request.experiments:
        cfg = compose(request.overrides, experiment.overrides, experiment.base, 0)
        cfg["limits"] = cfg["limits"] | {"memory_gb": 2.56, "days": 0.07}
        check_needs(cfg, USUAL)


def test_pairs_that_conf_has_are_of_models_that_have_them():
    shallow = changed(model__n_layers=1)
    check_together(shallow, USUAL, ())  # conf/'s [0, 1] is left out
    with pytest.raises(ConfigError, match=r"score\.layer_pairs=\[\[0, 2\]\]: the model has 1 layers"):
        check_together(changed(model__n_layers=1, score__layer_pairs=[[0, 2]]), USUAL, ())


def test_so_are_copies_that_conf_has():
    check_together(changed(model__n_ctx=40), USUAL, ())  # 63 tokens: shortened
    with pytest.raises(ConfigError, match=r"probe\.max_length=40: .* no room .* in model\.n_ctx=40"):
        check_together(changed(model__n_ctx=40, probe__max_length=40), USUAL, ())
    check_together(changed(model__n_ctx=40, probe__max_length=39), USUAL, ())


def test_no_more_tokens_are_listed_than_there_are():
    check_together(changed(tokenizer__d_vocab=300, overlap__tokens=300), USUAL, ())
    with pytest.raises(ConfigError, match=r"overlap\.tokens=301: .* no room .* in tokenizer\.d_vocab=300"):
        check_together(changed(tokenizer__d_vocab=300, overlap__tokens=301), USUAL, ())


def test_a_text_has_two_sequences_at_least_and_fits_into_memory(tmp_path):
    file = tmp_path / "a.txt"
    cfg = changed(model__n_ctx=11) | {"data": {"kind": "text_files", "paths": [str(file)]}}
    for size, limit, told in (
        (19, 256, "19 bytes are fewer than two"),
        (2000, 1.5e-5, "would need 1.6e-05 GB"),
    ):
        file.write_bytes(b"a" * size)
        cfg["limits"] = USUAL["limits"] | {"memory_gb": limit}
        with pytest.raises(ConfigError, match=told):
            check_together(cfg, USUAL, (str(file),))
    file.write_bytes(b"a" * 20)
    check_together(cfg, USUAL, (str(file),))


def test_a_request_is_held_against_limits_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"name": "long", "seeds": "0", "overrides": "train.steps=700000000 model.d_model=8 model.n_layers=1"}
    with pytest.raises(ConfigError, match="700000000"):
        plan(asked)
    assert plan(asked | {"overrides": f"{asked['overrides']} limits.days=100"}).runs


LARGE = {"n_layer": 10, "n_head": 64, "n_embd": 8192, "vocab_size": 50000, "n_inner": 32768}
PARAMETERS = 50000 * 8192 + 10 * (2 * 8192**2 + 2 * 8192 * 32768)


@pytest.fixture
def checkpoint(tmp_path):
    """What config.json says, as a configuration."""

    def of(**options):
        (tmp_path / "config.json").write_text(json.dumps(LARGE | options))
        cfg = compose((), ("model=hub", f"model.path={tmp_path}", "tokenizer=none", "data=repeated_tokens"), "base", 0)
        return cfg, tmp_path

    return of


def test_a_checkpoint_is_refused_from_where_it_fills_the_memory_once(checkpoint):
    cfg, path = checkpoint()
    cfg["limits"]["memory_gb"] = PARAMETERS * 8 / 1e9
    check_needs(cfg, USUAL)
    cfg["limits"]["memory_gb"] *= 0.999
    told = (
        rf"model\.path={path}: the model, in float64, would need {PARAMETERS * 8 / 1e9:.3g} GB; .* take a smaller model"
    )
    with pytest.raises(ConfigError, match=told):
        check_needs(cfg, USUAL)


def test_with_a_checkpoint_settings_are_held_against_its_sizes(checkpoint):
    cfg, _ = checkpoint()
    cfg["score"]["batch"] = 10**6
    with pytest.raises(ConfigError, match=r"score\.batch=1000000: the patterns of a batch would need 4\.19e\+03 GB"):
        check_needs(cfg, USUAL)  # of 64 heads and 128 tokens


def test_nothing_is_trained_of_a_checkpoint(checkpoint):
    cfg, _ = checkpoint()
    cfg["train"] |= {"steps": 10**12, "batch": 10**9}
    check_needs(cfg, USUAL)


def test_a_checkpoint_that_reads_too_much_at_once_is_refused(checkpoint):
    cfg, path = checkpoint(n_positions=10**7)
    with pytest.raises(ConfigError, match=rf"model\.path={path}: config\.json says n_positions=10000000, and 1 to"):
        check_needs(cfg, USUAL)


def test_of_a_path_without_a_model_nothing_is_known_yet(tmp_path):
    cfg = copy.deepcopy(USUAL)
    for path in ("nowhere/at/all", str(tmp_path)):
        cfg["model"] = {"source": "hub", "path": path, "n_ctx": 128}
        check_needs(cfg, USUAL)
