import pandas as pd
import pytest

from pipeline.claims.best_heads import (
    CHOOSING,
    JUDGING,
    SCORES,
    best_head,
    chosen_head,
    half_scores,
    ranked_heads,
    rankings,
    role_scores,
    spread_heads,
)


def scored(*rows, **names):
    columns = ["layer", "head", "metric", "definition", "eval_set", "period", "value"]
    return pd.DataFrame(rows, columns=columns).assign(**names)


def of_role(role, values, period=None):
    """Each head's value, by (layer, head)."""
    return scored(*((*head, role, *SCORES[role], period, value) for head, value in values.items()))


def place(row):
    return row["layer"], row["head"]


def test_only_the_scores_that_tell_the_role_are_looked_at():
    other = scored(
        (1, 5, "induction", "distance", "repeated_tokens", 37, 9.0), (1, 6, "induction", "mass", "text", None, 9.0)
    )
    rows = pd.concat([other, of_role("induction", {(1, 0): 0.5, (1, 1): None}, 37)], ignore_index=True)
    assert role_scores(rows, "induction")[["layer", "head"]].to_numpy().tolist() == [[1, 0]]


def test_the_worst_period_counts():
    on_one = of_role("induction", {(1, 0): 0.7, (1, 1): 0.99}, 37)
    on_other = of_role("induction", {(1, 0): 0.8, (1, 1): 0.1}, 53)
    best = best_head(pd.concat([on_one, on_other], ignore_index=True), "induction")
    assert (*place(best), best["period"], best["value"]) == (1, 0, 37, 0.7)


@pytest.mark.parametrize("role", SCORES)
def test_heads_are_sought_in_every_layer_or_in_those_before_one(role):
    heads = of_role(role, {(0, 0): 0.2, (0, 1): 0.9, (1, 0): 0.95})
    assert place(best_head(heads, role)) == (1, 0)
    assert place(best_head(heads, role, before=1)) == (0, 1)
    assert best_head(heads, role, before=0) is None


def test_what_is_best_by_chance_on_some_sentences_is_judged_on_others():
    # Head 0.0 is lucky on sentences 0 and 2, which choose, and nothing elsewhere; sentence 2 weighs three times.
    by_sentence = {(0, 0): [0.8, 0.1, 0.9, 0.1], (0, 1): [0.5, 0.5, 0.5, 0.5]}
    sentences = pd.concat(
        of_role("previous_token", {head: value}).assign(sentence=sentence, weight=3.0 if sentence == 2 else 1.0)
        for head, values in by_sentence.items()
        for sentence, value in enumerate(values)
    )
    whole = of_role("previous_token", {(0, 0): 0.5, (0, 1): 0.5})
    copying = of_role("copying", {(0, 0): 0.9})
    tables = {"head_scores": pd.concat([whole, copying]), "sentence_scores": sentences}
    assert place(chosen_head(tables, "previous_token")) == (0, 0)
    chosen, judged = (half_scores(tables, "previous_token", which)["value"].tolist() for which in (CHOOSING, JUDGING))
    assert chosen == pytest.approx([0.875, 0.5])
    assert judged == pytest.approx([0.1, 0.5])
    assert half_scores(tables, "copying", JUDGING)["value"].tolist() == [0.9]


@pytest.mark.parametrize("role", SCORES)
def test_of_equals_the_first_and_of_none_none(role):
    equal = of_role(role, {(0, 2): 0.5, (0, 1): 0.5, (0, 3): 0.5})
    assert place(best_head(equal, role)) == (0, 1)
    assert best_head(equal[:0], role) is None


def test_heads_of_many_runs_are_ranked_together_and_apart():
    runs = {("base", 0): {(0, 0): 0.3, (0, 1): 0.6}, ("base", 1): {(0, 0): 0.9, (0, 1): 0.1}}
    rows = pd.concat(
        of_role("first_token", heads).assign(experiment=experiment, seed=seed)
        for (experiment, seed), heads in runs.items()
    )
    ranked = ranked_heads(rows, "first_token")
    assert ranked["value"].tolist() == [0.9, 0.6, 0.3, 0.1]
    first = ranked.drop_duplicates(["experiment", "seed"]).set_index("seed")["head"]
    assert first.to_dict() == {1: 0, 0: 1}


def test_every_role_has_its_heads_the_best_first():
    tables = {
        "head_scores": of_role("copying", {(0, 0): 0.1, (1, 1): 0.9}),
        "sentence_scores": of_role("copying", {}).assign(sentence=0, weight=1.0),
    }
    ranked = rankings(tables)
    assert set(ranked) == set(SCORES)
    assert list(ranked["copying"].items()) == [((1, 1), 0.9), ((0, 0), 0.1)]


def test_of_too_many_heads_the_best_of_each_role_are_listed_and_the_rest_spread_out():
    heads = [(layer, head) for layer in range(3) for head in range(2)]
    ranked = {"induction": {(1, 1): 0.9, (1, 0): 0.8}, "copying": {(2, 1): 0.9, (1, 1): 0.8}}
    assert spread_heads(heads, ranked, 6, 1) == heads
    assert spread_heads(heads, ranked, 3, 3) == [(1, 0), (1, 1), (2, 1)]
    assert spread_heads(heads, ranked, 4, 2) == [(0, 0), (1, 0), (1, 1), (2, 1)]
