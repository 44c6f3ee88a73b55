import pandas as pd
import pytest

from pipeline.claims.of_heads import copying, induction, k_composition, most_heads_copy, shift_by_one


def scores(*rows):
    columns = ["layer", "head", "metric", "definition", "eval_set", "period", "value", "chance"]
    return {"head_scores": pd.DataFrame(rows, columns=columns).assign(z=None, q=None)}


INDUCTION = scores(
    (0, 0, "previous_token", "mean", "text", None, 0.2, 0.03),
    (0, 1, "previous_token", "mean", "text", None, 0.9, 0.03),
    (1, 0, "previous_token", "mean", "text", None, 0.95, 0.03),
    (1, 0, "induction", "mass", "repeated_tokens", 37, 0.8, 0.01),
    (1, 0, "induction", "mass", "repeated_tokens", 53, 0.7, 0.02),
    (1, 1, "induction", "mass", "repeated_tokens", 37, 0.99, 0.01),
    (1, 1, "induction", "mass", "repeated_tokens", 53, 0.1, 0.02),
    (1, 0, "copying", "eigenvalue", "weights", None, 0.6, 0.0),
    (1, 1, "copying", "eigenvalue", "weights", None, 1.0, 0.0),
)


def test_the_previous_token_head_is_the_best_of_layer_0_only():
    finding = shift_by_one(INDUCTION)
    assert (finding.value, finding.chance) == (0.9, 0.03)
    assert "0.1" in finding.evidence


def test_a_head_that_works_on_one_period_only_is_no_induction_head():
    finding = induction(INDUCTION)
    assert finding.value == 0.7
    assert finding.evidence == "head 1.0: 0.800 at period 37, 0.700 at period 53"


def test_copying_is_asked_of_the_induction_head():
    assert copying(INDUCTION).value == 0.6


def test_k_composition_is_that_of_the_two_heads_over_chance():
    pairs = [(0, 0, 1, 0, "K_composition", "frobenius", 0.9, 0.1), (0, 1, 1, 0, "K_composition", "frobenius", 0.3, 0.1)]
    columns = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    tables = INDUCTION | {"head_pairs": pd.DataFrame(pairs, columns=columns).assign(z=2.5, q=0.01)}
    assert k_composition(tables).value == pytest.approx(3)
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
