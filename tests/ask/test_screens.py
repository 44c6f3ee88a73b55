import io

import pandas as pd
import pytest
from rich.console import Console

from pipeline.ask import screens
from pipeline.ask.printing import Screen
from pipeline.ask.study import Study

DEMO = " We dog eating ice cream"


def text_of(sections):
    file = io.StringIO()
    screen = Screen(Console(file=file))
    for section in sections:
        screen.show(section)
    return file.getvalue()


def test_a_heads_screen_says_what_a_study_knows(model):
    text = text_of(screens.head(model.head("1.0"), 3, None))
    assert "no study knows this model" in text  # this one judged nothing
    assert "of the study tiny; of random tokens that repeat, at the worst period" in text
    assert "OV pairs" in text
    assert text.count("→") >= 12
    row = model.head("1.0").top_pairs("OV", 3).iloc[0]
    assert f"{row['row_token']} → {row['column_token']}" in text
    assert f"{row['value']:.4g}" in text


def test_a_heads_screen_without_a_study_says_what_is_not_measured(gpt2):
    text = text_of(screens.head(gpt2.head("2.1"), 2, None))
    assert "not measured" in text
    assert "measured now" in text
    assert "rotation" in text


def test_the_role_and_its_evidence_are_shown():
    roles = pd.DataFrame(
        [
            {
                "role": "induction",
                "also": "copying",
                "certainty": 0.8,
                "evidence": "prefix 0.9",
                "failed": "",
                "unmeasured": "jittered",
            }
        ]
    )
    coverage = pd.DataFrame(
        [
            {"role": role, "effect": 0.1, "share": share, "lo": 0.1, "hi": 0.9, "chance": 0.0, "above_chance": share}
            for role, share in (("all_attention_roles", 0.9), ("induction", 0.7), ("copying", 0.2))
        ]
    )

    class Known:
        def roles(self):
            return roles

        def coverage(self):
            return coverage

    text = screens.role(Known()).shown.plain
    assert text.startswith("induction, also copying (certainty 0.80)\nevidence: prefix 0.9\nnot measured: jittered")
    assert "recovered by induction: share 0.7" in text


def test_attention_is_told_in_words_and_numbers(model):
    text = text_of(screens.attend(model.head("1.0"), DEMO, 3, False, 2))
    pattern = model.head("1.0").pattern(DEMO)[3]
    best = int(pattern.argmax())
    assert f"{float(pattern[best]):.2f} {model.shown[model.tokens(DEMO)[0, best]]} ({best})" in text
    assert "stream position" in text
    with pytest.raises(ValueError, match="--query 99: the sentence has positions 0 to"):
        list(screens.attend(model.head("1.0"), DEMO, 99, False, 2))


def test_parts_of_a_logit_are_shown_with_their_sum(model):
    text = text_of(screens.logits(model, " We dog", "t", "e", 3))
    total = model.logits(" We dog", "t", "e").query("kind == 'part'")["logit"].sum()
    assert f"parts sum to {total:.4g}" in text
    assert "Written by each path" in text


def test_other_screens_have_what_their_frames_have(model, gpt2):
    text = text_of(screens.virtual(model, "0.0", "1.0", DEMO, 2))
    assert "[BEGIN]" in text
    text = text_of(screens.term_statistics(model.head("0.0"), None))
    assert "position" in text
    text = text_of([screens.units(gpt2.neuron("0.1", 2), "Neuron 0.1")])
    assert "FF_key top" in text
    assert "FF_value bottom" in text


def test_claims_are_shown_with_their_intervals(monkeypatch, tmp_path):
    claim = {
        "experiment": "base",
        "claim": "copying",
        "value": 0.5,
        "lo": 0.4,
        "hi": 0.6,
        "threshold": 0.5,
        "chance": None,
        "q": 0.01,
        "verdict": "undecided",
    }
    monkeypatch.setattr(Study, "table", lambda self, name: pd.DataFrame([claim]))
    assert "[0.4, 0.6]" in text_of([screens.claims(Study(tmp_path))])
