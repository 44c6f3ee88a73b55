from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from torch import Generator
from weights_frame import weights_frame

from pipeline import challenge
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.models.constructed import constructed
from pipeline.models.families import to_weights
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.challenge import ChallengeSettings
from pipeline.tables.challenge import CHALLENGE_SCORES
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY

D_VOCAB, N_CTX, SEGMENT = 50, 40, 7
SETTINGS = {
    "seed": 1,
    "n_ctx": N_CTX,
    "sentences": 6,
    "segment": SEGMENT,
    "periods": [5, 9, 30],
    "lengths": [20, 40, 80],
    "gaps": [0, 6],
    "confidence": 0.95,
    "resamples": 40,
    "batch": 4,
    "threads": 1,
}


@pytest.fixture
def run(tmp_path):
    inputs = Paths([tmp_path / f"{name}.parquet" for name in ("weights", "tokens", "vocabulary")])
    outputs = Paths([tmp_path / "challenge_scores.parquet"])
    names = [f"t{token}" for token in range(D_VOCAB)]
    role = ["begin", "end"] + ["text"] * (D_VOCAB - 2)
    write(VOCABULARY, pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "text": names, "role": role}), inputs)
    ids = [np.repeat(np.arange(9, D_VOCAB), np.arange(1, D_VOCAB - 8)).astype(np.int32), np.array([3], np.int32)]
    write(TOKENS, pd.DataFrame({"document": [0, 1], "split": ["train", "heldout"], "token_ids": ids}), inputs)

    def run_on(circuit="induction", gain=60.0, offset=1, changes=None, **settings):
        shape = {"n_heads": 1, "d_model": 2 * D_VOCAB + N_CTX, "n_ctx": N_CTX, "d_vocab": D_VOCAB}
        gains = dict.fromkeys(("position_gain", "match_gain", "copy_gain"), gain)
        wiring = Construction(circuit=circuit, basis="one_hot", offset=offset, **shape, **gains)
        model = constructed(wiring, Generator().manual_seed(0))
        config = {"model_type": "attention_only", **vars(model.config)}
        weights = replace(to_weights(config, model.state_dict().__getitem__), **(changes or {}))
        write(WEIGHTS, weights_frame(weights), inputs)
        challenge.run(ChallengeSettings.parse(SETTINGS | settings), inputs, outputs)
        return read(CHALLENGE_SCORES, outputs)

    return run_on


def of(frame, metric, definition, layer=None):
    """Values by challenge and level, of the model or of the only head of a layer."""
    rows = frame[(frame["metric"] == metric) & (frame["definition"] == definition)]
    rows = rows[rows["layer"].isna()] if layer is None else rows[rows["layer"] == layer]
    return rows.set_index(["challenge", "level"])["value"]


def test_a_perfect_induction_head_is_misled_by_nothing(run):
    frame = run()
    mass = of(frame, "induction", "mass", layer=1)
    assert len(mass) == 2 + 2 + 2 + 1 + 2 + 4
    np.testing.assert_allclose(mass.drop("no_begin"), 1, atol=1e-6)
    np.testing.assert_allclose(of(frame, "previous_token", "mean", layer=0), 1, atol=1e-6)
    np.testing.assert_allclose(of(frame, "accuracy", "repeated").drop("no_begin"), 1)
    np.testing.assert_allclose(of(frame, "loss", "repeated").drop("no_begin"), 0, atol=1e-6)
    # It knows nothing of how recent a target is, nor of the token before.
    for definition in ("recent", "earlier", "same_context", "other_context"):
        np.testing.assert_allclose(of(frame, "induction", definition, layer=1), 0.5, atol=1e-6)
    np.testing.assert_allclose(of(frame, "logit_difference", "recent_minus_earlier"), 0, atol=1e-3)


def test_without_begin_the_first_token_seems_to_follow_itself(run):
    """Its previous-token head can look at nothing else there, so the m targets of its copies have one rival."""
    copies = [(query - SEGMENT) // SEGMENT + 1 for query in range(SEGMENT, N_CTX - 1)]
    queries = [m / (m + 1) if query % SEGMENT == 0 else 1 for query, m in enumerate(copies, SEGMENT)]
    mass = of(run(), "induction", "mass", layer=1)
    np.testing.assert_allclose(mass["no_begin", SEGMENT], np.mean(queries), atol=1e-6)


def test_a_head_that_looks_back_by_distance_is_right_at_one_period_alone(run):
    mass = of(run("positional_shortcut", offset=8), "induction", "mass", layer=0)
    np.testing.assert_allclose(mass["period", 9], 1, atol=1e-6)
    # Of the 34 queries with targets, the first two cannot look 8 back, and look everywhere alike.
    np.testing.assert_allclose(mass["period", 5], (1 / 7 + 1 / 8) / 34, atol=1e-6)
    assert mass["gap", 6] < 0.3


def test_heads_that_look_everywhere_alike_give_what_chance_gives(run):
    frame = run("uniform", gain=0.0)
    attention = frame[frame["layer"].notna()]
    assert len(attention) > 0
    np.testing.assert_allclose(attention["value"], attention["chance"], rtol=1e-5)
    assert (attention["lo"] <= attention["value"]).all()
    assert (attention["value"] <= attention["hi"]).all()


def test_what_does_not_fit_is_left_out_and_said(run, capsys):
    frame = run(segment=8)
    levels = frame.groupby("challenge")["level"].unique().apply(list)
    assert levels["period"] == [5, 9]
    assert levels["length"] == [20, 40]
    assert levels["frequency"] == [1, 2, 3]
    said = capsys.readouterr().out
    assert "period 30: 60 tokens do not fit into 39; left out" in said
    assert "length 80: 79 distinct tokens asked of 41; left out" in said
    assert "frequency 0: 8 distinct tokens asked of 7; left out" in said


def test_only_a_model_without_positions_takes_sequences_longer_than_it_was_made_for(run, capsys):
    lengths = {"lengths": [40, 41]}
    assert of(run(**lengths), "loss", "novel")["length"].index.tolist() == [40]
    assert "length 41: the model has 40 positions; left out" in capsys.readouterr().out
    free = run(changes={"positions": "none", "W_pos": None}, **lengths)
    assert of(free, "loss", "novel")["length"].index.tolist() == [40, 41]


def test_all_of_a_table_is_the_same_whatever_the_portions(run):
    pd.testing.assert_frame_equal(run(gain=3.0, batch=1), run(gain=3.0, batch=6))


def test_a_model_that_attends_both_ways_has_no_rows(run):
    assert run(changes={"attends": "both_ways"}).empty


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    contents = []
    for _ in range(2):
        run(gain=3.0)
        contents.append((tmp_path / "challenge_scores.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_sequences_too_short_for_anything_give_an_empty_table(run):
    assert run(n_ctx=4, lengths=[4]).empty
