import pandas as pd
import pytest

from pipeline.claims.of_heads import copying, induction, k_composition, most_heads_copy, shift_by_one


def scores(*rows, sentences=()):
    """Tables of scores; `sentences` are rows of the same columns, but with a number, of those made of sentences."""
    columns = ["layer", "head", "metric", "definition", "eval_set", "period", "value", "chance"]
    by_sentence = [*columns[:-2], "sentence", "value"]
    return {
        "head_scores": pd.DataFrame(rows, columns=columns).assign(z=None, q=None),
        "sentence_scores": pd.DataFrame(sentences, columns=by_sentence).assign(weight=1.0),
    }


def known(*rows, judged):
    """Scores whose first sentences, which choose, agree with them, and whose others are `judged` higher."""
    made_of_sentences = [row for row in rows if row[4] != "weights"]
    sentences = [(*row[:6], n, row[6] + judged * (n % 2)) for row in made_of_sentences for n in range(4)]
    return scores(*rows, sentences=sentences)


INDUCTION = known(
    (0, 0, "previous_token", "mean", "text", None, 0.2, 0.03),
    (0, 1, "previous_token", "mean", "text", None, 0.9, 0.03),
    (1, 0, "previous_token", "mean", "text", None, 0.95, 0.03),
    (1, 0, "induction", "mass", "repeated_tokens", 37, 0.8, 0.01),
    (1, 0, "induction", "mass", "repeated_tokens", 53, 0.7, 0.02),
    (1, 1, "induction", "mass", "repeated_tokens", 37, 0.99, 0.01),
    (1, 1, "induction", "mass", "repeated_tokens", 53, 0.1, 0.02),
    (1, 0, "copying", "eigenvalue", "weights", None, 0.6, 0.0),
    (1, 1, "copying", "eigenvalue", "weights", None, 1.0, 0.0),
    judged=0.01,
)


def test_a_previous_token_head_may_lie_in_any_layer():
    finding = shift_by_one(INDUCTION)
    assert (finding.value, finding.chance) == (pytest.approx(0.96), 0.03)
    assert finding.evidence == "head 1.0: 0.960"
    assert len(finding.number.influence) == 2


def test_a_head_that_works_on_one_period_only_is_no_induction_head():
    finding = induction(INDUCTION)
    assert (finding.value, finding.chance) == (pytest.approx(0.71), 0.02)
    assert finding.evidence == "head 1.0: 0.810 at period 37, 0.710 at period 53"


def test_the_worst_period_is_chosen_on_other_sentences_than_it_is_judged_on():
    """Period 53 is the worse one where it is chosen, and the better one elsewhere."""
    rows = [(1, 0, "induction", "mass", "repeated_tokens", period, 0.75, 0.01) for period in (37, 53)]
    by_sentence = {37: (0.8, 0.6), 53: (0.7, 0.9)}
    sentences = [(*row[:6], n, by_sentence[row[5]][n]) for row in rows for n in (0, 1)]
    assert induction(scores(*rows, sentences=sentences)).value == pytest.approx(0.9)


def test_copying_is_asked_of_the_induction_head():
    assert copying(INDUCTION).value == 0.6


def test_k_composition_is_that_of_the_two_heads_over_chance():
    pairs = [(0, 0, 1, 0, "K_composition", "frobenius", 0.9, 0.1), (0, 1, 1, 0, "K_composition", "frobenius", 0.3, 0.1)]
    columns = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    tables = INDUCTION | {"head_pairs": pd.DataFrame(pairs, columns=columns).assign(z=2.5, q=0.01)}
    assert k_composition(tables).value == pytest.approx(3)  # of 0.1: of heads before the induction head the best
    assert "z 2.5, q 0.01" in k_composition(tables).evidence
    nothing = INDUCTION | {"head_pairs": pd.DataFrame(columns=columns)}
    assert k_composition(nothing) is None


@pytest.mark.parametrize("measure", [shift_by_one, induction, copying])
def test_a_model_whose_heads_have_no_such_score_says_nothing(measure):
    assert measure(scores()) is None


def test_copiers_are_counted_by_their_q():
    rows = scores(*((0, head, "copying", "eigenvalue", "weights", None, 0.5, 0.0) for head in range(4)))["head_scores"]
    assert most_heads_copy({"head_scores": rows}, 0.05) is None
    finding = most_heads_copy({"head_scores": rows.assign(q=[0.01, 0.04, 0.06, 0.9])}, 0.05)
    assert finding.value == 0.5
    # Of four random heads: a false discovery's level, one head, and what follows from it.
    assert finding.chance == pytest.approx(0.05 / 4 * (1 + 6 * 0.0125 + 18 * 0.0125**2 + 24 * 0.0125**3))
