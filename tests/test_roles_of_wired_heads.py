"""Networks wired by hand go through the stages, and each head comes out as what it was wired to be."""

import json
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file
from torch import Generator
from weights_frame import weights_frame

from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.claims.roles import head_roles
from pipeline.models.constructed import constructed
from pipeline.models.families import to_weights
from pipeline.models.tokenizer import id_tokenizer
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.compose import compose
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.registry import OF_A_RUN

D_VOCAB, N_CTX, PERIOD = 50, 40, 9
SMALL = (
    *(f"model.n_ctx={N_CTX}", "probe.sentences=8", f"probe.periods=[{PERIOD},13]", "probe.max_length=15"),
    *("probe.min_length=8", "challenge.segment=7", "challenge.sentences=8", "challenge.lengths=[20]"),
)
STAGES = ("decompose", "score", "ablate", "challenge")
THRESHOLDS = {"attention": 0.5, "position": 0.5, "copying": 0.5, "suppression": 0.5, "relation": 0.5, "inactive": 0.9}
READS = ("head_scores", "challenge_scores", "attention_terms", "ablations")


@pytest.fixture
def roles(tmp_path):
    names = [f"t{token}" for token in range(D_VOCAB)]
    vocabulary = {"token_id": range(D_VOCAB), "token": names, "text": names}
    made_of = ("weights", "tokens", "vocabulary", "sequences", "loss_sequences")
    files = [tmp_path / f"{name}.parquet" for name in made_of]
    files += [tmp_path / name for name in ("config.json", "tokenizer.json", "checkpoints.safetensors")]
    made = Paths(files + [tmp_path / f"{table.name}.parquet" for stage in STAGES for table in OF_A_RUN[stage]])
    role = ["begin", "end"] + ["text"] * (D_VOCAB - 2)
    write(VOCABULARY, pd.DataFrame(vocabulary).assign(role=role), made)
    random = np.random.default_rng(0)
    ids = [random.integers(2, D_VOCAB, 400).astype(np.int32) for _ in range(2)]
    write(TOKENS, pd.DataFrame({"document": [0, 1], "split": ["train", "heldout"], "token_ids": ids}), made)
    id_tokenizer(D_VOCAB, True).save(str(tmp_path / "tokenizer.json"))
    save_file({}, tmp_path / "checkpoints.safetensors", {"steps": "[]"})
    settings = compose((), SMALL, "repeated_tokens", 0)

    def run_on(circuit, copy_gain=6.0, offset=1):
        shape = {"n_heads": 1, "d_model": 2 * D_VOCAB + N_CTX, "n_ctx": N_CTX, "d_vocab": D_VOCAB, "offset": offset}
        gains = {"position_gain": 40.0, "match_gain": 40.0, "copy_gain": copy_gain}
        model = constructed(
            Construction(circuit=circuit, basis="one_hot", **shape, **gains), Generator().manual_seed(0)
        )
        config = {"model_type": "attention_only", "step": 0, **vars(model.config)}
        (tmp_path / "config.json").write_text(json.dumps(config))
        write(WEIGHTS, weights_frame(to_weights(config, model.state_dict().__getitem__)), made)
        for stage in ("probe", *STAGES):
            slice_of = getattr(import_module(f"pipeline.settings.{stage}"), f"{stage.title()}Settings")
            import_module(f"pipeline.{stage}").run(slice_of.parse(settings[stage]), made, made)
        tables = {
            table.name: read(table, made).assign(experiment=circuit, seed=0)
            for stage in STAGES
            for table in OF_A_RUN[stage]
            if table.name in READS
        }
        # Significance needs more heads than these to be tested on.
        tables["head_scores"]["q"] = 0.001 + 0 * tables["head_scores"]["value"]  # not of what is undefined
        by_head = head_roles(tables, **THRESHOLDS, significance=0.05, confidence=0.95)
        return by_head.set_index("layer")

    return run_on


def test_a_previous_token_head_and_an_induction_head(roles):
    heads = roles("induction")
    assert heads["role"].to_dict() == {0: "previous_token", 1: "induction"}
    np.testing.assert_allclose(
        heads.loc[1, ["prefix_worst", "jittered", "content", "copying"]].astype(float), 1, atol=1e-3
    )
    assert heads.loc[1, "repeated"] > 1


def test_a_prefix_matcher_that_writes_nothing_is_no_induction_head(roles):
    matcher = roles("induction", copy_gain=0.0).loc[1]
    assert matcher["role"] == "prefix_matching"
    assert matcher["failed"] == "causal, specific"
    assert matcher["prefix_worst"] == pytest.approx(1, abs=1e-3)


def test_a_head_that_looks_one_period_back_is_a_shortcut(roles):
    shortcut = roles("positional_shortcut", offset=PERIOD - 1).loc[0]
    assert shortcut["role"] == "positional_shortcut"
    assert shortcut["prefix_best"] == pytest.approx(1, abs=1e-3)
    assert shortcut["position"] == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("circuit", "offset", "role", "also"),
    [
        ("previous_token", 1, "previous_token", "positional; copying; direct_copying"),
        ("positional_shortcut", 3, "positional", "copying; direct_copying"),
        ("duplicate_token", 1, "duplicate_token", "current_token; positional; copying; direct_copying"),
        ("copy", 1, "copying", "direct_copying"),
        ("anticopy", 1, "copy_suppression", ""),
        ("uniform", 1, "none", ""),
    ],
)
def test_other_heads(roles, circuit, offset, role, also):
    head = roles(circuit, offset=offset).loc[0]
    assert head[["role", "also"]].tolist() == [role, also]
