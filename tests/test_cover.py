from dataclasses import replace

import pandas as pd
import pytest
import torch
from hand_wired import D_VOCAB, PERIOD, induction_network, tokens
from ranked_scores import scores
from weights_frame import weights_frame

from pipeline import cover
from pipeline.circuits.causes.coverage import ROLES
from pipeline.claims.best_heads import SCORES
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.cover import CoverSettings
from pipeline.tables.cover import ROLE_COVERAGE
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score import HEAD_SCORES, SENTENCE_SCORES

SETTINGS = {
    "seed": 0,
    "sentences": 16,
    "positions": 64,
    "batch": 2,
    "draws": 2,
    "heads": 64,
    "best_heads": 0,
    "least_effect": 1e-6,
    "confidence": 0.95,
    "resamples": 40,
    "threads": 1,
}
NUMBERS = ["effect", "mass", "share", "lo", "hi", "chance", "chance_hi", "above_chance", "above_lo", "above_hi"]


@pytest.fixture
def run(tmp_path):
    names = ("weights", "sequences", "vocabulary", "head_scores", "sentence_scores")
    inputs, outputs = (
        Paths([tmp_path / f"{name}.parquet" for name in names]),
        Paths([tmp_path / "role_coverage.parquet"]),
    )
    texts = [f"t{token}" for token in range(D_VOCAB)]

    def run_on(weights, best=(), ids=None, begin=True, **settings):
        """`best`: the head that is scored best in every role, where there are too many; even sentences are strange."""
        role = ["begin" if begin else "text"] + ["text"] * (D_VOCAB - 1)
        write(
            VOCABULARY, pd.DataFrame({"token_id": range(D_VOCAB), "token": texts, "text": texts, "role": role}), inputs
        )
        write(WEIGHTS, weights_frame(weights), inputs)
        rows = [
            ("text", None, sentence, position, 0 if sentence % 2 == 0 else token, f"t{token}", "other")
            for sentence, row in enumerate((tokens(6) if ids is None else ids).tolist())
            for position, token in enumerate(row)
        ]
        names = ["eval_set", "period", "sentence", "position", "token_id", "token", "token_class"]
        write(SEQUENCES, pd.DataFrame(rows, columns=names).astype({"period": "Int64"}), inputs)
        known = {role: dict.fromkeys(best, 1.0) for role in SCORES}
        for table, rows in zip((HEAD_SCORES, SENTENCE_SCORES), scores(weights, known), strict=True):
            write(table, rows, inputs)
        cover.run(CoverSettings.parse(SETTINGS | settings), inputs, outputs)
        return read(ROLE_COVERAGE, outputs).set_index(["layer", "head", "role"])

    return run_on


def test_every_head_has_every_role_and_a_wired_one_its_own(run):
    found = run(induction_network())
    assert len(found) == 2 * 2 * len(ROLES)
    assert set(found["n"]) == {3 * 2 * PERIOD}
    assert found.loc[(0, 0, "previous_token"), "share"] == pytest.approx(1)
    # The first copy has nothing to look at: there the head looks everywhere alike, which is no role.
    shares = found.loc[(1, 0), "share"]
    assert 0.4 < shares["induction"] < shares["all_attention_roles"] < 1
    assert shares["copying"] == pytest.approx(1)
    # The heads beside them write nothing: of no effect there is no share.
    silent = found.xs(1, level="head")
    assert (silent["effect"] == 0).all()
    assert silent["share"].isna().all()


def test_without_begin_nobody_looks_at_it(run):
    found = run(induction_network(), begin=False)
    unknown = found.xs("first_token", level="role")
    assert unknown[NUMBERS].isna().all(axis=None)
    assert set(unknown["n"]) == {0}
    assert found.loc[(0, 0), "share"].drop("first_token").notna().all()


def test_a_model_that_attends_both_ways_has_rows_without_numbers(run, capsys):
    found = run(replace(induction_network(), attends="both_ways"))
    assert len(found) == 2 * 2 * len(ROLES)
    assert found[NUMBERS].isna().all(axis=None)
    assert "the model attends both ways: nothing says" in capsys.readouterr().out


def test_a_model_with_a_norm_behind_its_heads_has_rows_without_numbers(run, capsys):
    model = induction_network()
    assert run(replace(model, ln1_post_gain=torch.ones(model.n_layers, model.d_model)))[NUMBERS].isna().all(axis=None)
    assert "a norm stands behind the model's heads: nothing says" in capsys.readouterr().out


def test_one_sentence_chooses_and_judges_nothing(run, capsys):
    assert run(induction_network(), ids=tokens(1))[NUMBERS].isna().all(axis=None)
    assert "there is no second sentence: nothing says" in capsys.readouterr().out


def test_of_too_many_heads_the_best_are_measured_on_as_much_as_is_asked(run):
    found = run(induction_network(copies=3), best={(1, 2)}, heads=1, best_heads=1, sentences=2, positions=4)
    assert set(found.index.droplevel("role")) == {(1, 2)}
    assert set(found["n"]) == {2 * 4}


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    run(induction_network())
    first = (tmp_path / "role_coverage.parquet").read_bytes()
    run(induction_network())
    assert (tmp_path / "role_coverage.parquet").read_bytes() == first
