import math
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from atlas_study import HOSTILE, PLACES, ROWS, SCORES, make_page, value_of
from unpacked import opened

from pipeline.plumbing.intact import check_beside


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def html(folder):
    return make_page(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(html):
    return {name: opened(text) for name, text in re.findall(r'data-block="([^"]*)">([^<]*)<', html)}


def test_the_page_has_a_block_of_the_study_each_run_and_each_head(blocks):
    kinds = Counter(name.split("/")[0] for name in blocks)
    assert kinds == {"study": 1, "tokens": 1, "sequences": 1, "sentences": 4, "run": 4, "head": len(PLACES)}
    assert "head/other/1/1.0" in blocks


def test_every_score_of_every_head_is_what_the_table_says(blocks):
    scores = blocks["study"][0]["head_scores"]
    assert len(scores["value"]) == len(PLACES) * len(SCORES)
    for row, value in enumerate(scores["value"]):
        place = {name: scores[name][row] for name in ("experiment", "seed", "layer", "head")}
        score = tuple(scores[name][row] for name in ("metric", "definition", "eval_set", "period"))
        assert value == pytest.approx(value_of(place, score), rel=2**-13)


def test_a_heads_tokens_are_whole_in_its_block_and_nowhere_else(html, blocks):
    pairs = blocks["head/base/1/0.1"][0]["vocab_pairs"]
    assert pairs["row_token"][: len(HOSTILE)] == list(HOSTILE)
    assert set(blocks["tokens"][0]["tokens"]["token"]) == set(HOSTILE)
    for token in HOSTILE:
        assert token not in re.sub(r"<script>.*?</script>", "", html, flags=re.S)


def test_what_the_study_is_called_is_text(html, blocks):
    assert "<title>&lt;mine&gt;: every head</title>" in html
    assert blocks["study"][1]["questions"]["base"] == "What is <b>usual</b>?"


def test_the_page_says_how_its_numbers_were_made(blocks):
    _, about = blocks["study"]
    assert about["tables"]["head_scores"]["stage"] == "score"
    assert about["tables"]["claims"]["stage"] == "judge"
    assert about["settings"] == {"probe/a1": {"seed": 0}, "score/a1": {"seed": 0}}
    (mass,) = (each for each in about["definitions"] if (each["metric"], each["definition"]) == ("induction", "mass"))
    assert mass["source"] == "this project"
    assert mass["nulls"][0] == "permuted_tokens"


def test_of_vectors_of_weights_singular_directions_are_shown(blocks):
    assert set(blocks["head/base/0/0.0"][0]["vocab_units"]["matrix"]) == {"OV_SVD_left", "OV_SVD_right"}


def test_only_matched_heads_are_counterparts(folder, blocks):
    assert len(blocks["study"][0]["alignment"]["head_a"]) == len(ROWS["alignment"])
    assert set(blocks["study"][0]["alignment"]["matrix"]) == {"OV"}


def test_runs_can_be_compared_by_what_each_sentence_adds_to_their_scores(blocks):
    tables, _ = blocks["sentences/base/1"]
    rows = pd.DataFrame(tables["influences"])
    assert rows.groupby(["layer", "head"]).size().tolist() == [20] * 4
    own = rows[(rows["layer"] == 1) & (rows["head"] == 0)].sort_values("sentence")["influence"]
    # Weights are equal: distances from the mean, over n, by sqrt(n / (n - 1)).
    values = 2 * np.arange(20) / 20
    np.testing.assert_allclose(own, (values - values.mean()) / 20 * math.sqrt(20 / 19), atol=1e-6, rtol=2**-9)
    quantiles = blocks["study"][1]["quantiles"]
    assert len(quantiles) == 21
    assert quantiles[20] == pytest.approx(2.0930, abs=1e-4)  # Student's t of 19 degrees of freedom, 0.975


def test_sentences_are_there_to_be_read(blocks):
    tokens = blocks["sequences/a1"][0]["sequences"]
    assert tokens["token"][: len(HOSTILE)] == list(HOSTILE)
    assert tokens["sentence"][-1] == 19


def test_a_second_time_the_same_bytes(folder, html):
    assert make_page(folder).read_text(encoding="utf-8") == html
    check_beside(folder / "atlas.html")


def test_a_small_study_is_a_small_page(html):
    code = len(re.search(r"<script>.*?</script>", html, re.S)[0])
    assert len(html) < code + 250_000
