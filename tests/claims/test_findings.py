import math

import pandas as pd
import pytest

from pipeline.claims import of_heads, of_losses, of_terms, of_training


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
    finding = of_heads.shift_by_one(INDUCTION)
    assert (finding.value, finding.chance) == (0.9, 0.03)
    assert "0.1" in finding.evidence


def test_a_head_that_works_on_one_period_only_is_no_induction_head():
    finding = of_heads.induction(INDUCTION)
    assert finding.value == 0.7
    assert finding.evidence == "head 1.0: 0.800 at period 37, 0.700 at period 53"


def test_copying_is_asked_of_the_induction_head():
    assert of_heads.copying(INDUCTION).value == 0.6


def test_k_composition_is_that_of_the_two_heads_over_chance():
    pairs = [(0, 0, 1, 0, "K_composition", "frobenius", 0.9, 0.1), (0, 1, 1, 0, "K_composition", "frobenius", 0.3, 0.1)]
    columns = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    tables = INDUCTION | {"head_pairs": pd.DataFrame(pairs, columns=columns).assign(z=2.5, q=0.01)}
    assert of_heads.k_composition(tables).value == pytest.approx(3)
    assert "z 2.5, q 0.01" in of_heads.k_composition(tables).evidence
    nothing = INDUCTION | {"head_pairs": pd.DataFrame(columns=columns)}
    assert of_heads.k_composition(nothing) is None


def terms(shares):
    rows = [
        (0, head, query, key, statistic, "all", value)
        for head in (0, 1)
        for statistic in ("share", "naive_share")
        for (query, key), value in shares.items()
    ]
    columns = ["layer", "head", "query_source", "key_source", "statistic", "component", "value"]
    return {"attention_terms": pd.DataFrame(rows, columns=columns)}


def test_the_lead_is_over_the_largest_other_term():
    four = {
        ("token", "token"): 0.3,
        ("token", "position"): 0.05,
        ("position", "token"): 0.05,
        ("position", "position"): 0.6,
    }
    assert of_terms.position_position_matters_most(terms(four)).value == pytest.approx(0.3)
    assert of_terms.position_position_largest(terms(four)).value == pytest.approx(0.3)
    assert of_terms.position_position_largest(terms({("token", "token"): 1.0})) is None


def profiles(source, by_head):
    rows = [
        (0, head, source, source, offset, value)
        for head, values in by_head.items()
        for offset, value in enumerate(values)
    ]
    columns = ["layer", "head", "query_source", "key_source", "offset", "mean_score"]
    return {"offset_profiles": pd.DataFrame(rows, columns=columns)}


def test_heads_that_favour_the_token_before_are_counted():
    # The last offsets, which only the last queries reach, are not among those compared.
    finding = of_terms.position_attends_to_previous(profiles("position", {0: [0, 2, 1, 0, 9], 1: [3, 2, 1, 0, 0]}))
    assert (finding.value, finding.chance) == (0.5, 1 / 3)


def test_self_attention_is_the_diagonal_of_the_token_token_term():
    finding = of_terms.token_attends_to_itself(profiles("token", {0: [2.0, 0, 0], 1: [-1.0, 0, 0]}))
    assert finding.value == 0.5
    assert of_terms.token_attends_to_itself(profiles("position", {0: [1.0]})) is None


def test_gain_is_weighted_by_tokens():
    rows = [
        ("repeated_text", "first_copy", 4.0, 1),
        ("repeated_text", "first_copy", 2.0, 3),
        ("repeated_text", "second_copy", 1.0, 2),
    ]
    columns = ["eval_set", "token_class", "loss", "n"]
    tables = {"loss_by_position": pd.DataFrame(rows, columns=columns)}
    assert of_losses.second_copy_gain(tables).value == pytest.approx(1.5)


def test_the_virtual_head_that_matters_most_is_named():
    columns = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    rows = [(0, 1, 1, 2, "virtual", "loss_removed", 0.05, None), (0, 0, 1, 2, "virtual", "loss_removed", -0.5, None)]
    finding = of_losses.virtual_heads_matter({"head_pairs": pd.DataFrame(rows, columns=columns)})
    assert finding.value == 0.05
    assert finding.evidence.startswith("0.1 -> 1.2")


@pytest.mark.parametrize("measure", [of_heads.shift_by_one, of_heads.induction, of_heads.copying])
def test_a_model_whose_heads_have_no_such_score_says_nothing(measure):
    assert measure(scores()) is None


def test_copiers_are_counted_by_their_q():
    rows = scores(*((0, head, "copying", "eigenvalue", "weights", None, 0.5, 0.0) for head in range(4)))["head_scores"]
    assert of_heads.most_heads_copy({"head_scores": rows}) is None
    finding = of_heads.most_heads_copy({"head_scores": rows.assign(q=[0.01, 0.04, 0.06, 0.9])})
    assert (finding.value, finding.chance) == (0.5, 0.05)


def orders(gains):
    rows = [("repeated_text", "all", order, None, gain) for order, gain in gains.items()]
    rows += [("repeated_text", "all", None, "direct", 9.0), ("repeated_tokens", "all", 1, None, 9.0)]
    return {"term_orders": pd.DataFrame(rows, columns=["eval_set", "token_class", "order", "group", "gain"])}


def test_the_second_order_is_compared_with_the_first():
    assert of_losses.single_heads_before_pairs(orders({0: 2.0, 1: 1.5, 2: 0.25})).value == 1.25
    assert of_losses.single_heads_before_pairs(orders({0: 2.0, 1: 1.5})) is None


def test_learning_from_context_is_early_minus_late_whatever_their_counts():
    rows = [("text", position, 5.0 if position < 50 else 3.0, 1 + position) for position in range(100)]
    rows += [("repeated_text", 15, 99.0, 1)]
    table = pd.DataFrame(rows, columns=["eval_set", "position", "loss", "n"])
    assert of_losses.in_context_learning({"loss_by_position": table}).value == pytest.approx(2)
    assert of_losses.in_context_learning({"loss_by_position": table[:0]}) is None


def test_an_induction_head_is_causal_by_what_it_spares_on_second_copies_beyond_novel_tokens():
    columns = ["layer", "head", "method", "eval_set", "token_class", "difference"]
    rows = [
        (1, 0, "zero", "repeated_text", "second_copy", 2.0),
        (1, 0, "zero", "repeated_text", "novel", 0.5),
        (1, 0, "random_direction", "repeated_text", "second_copy", 0.3),
        (1, 0, "random_direction", "repeated_text", "novel", 0.2),
        (1, 1, "zero", "repeated_text", "second_copy", 9.0),
    ]
    tables = INDUCTION | {"ablations": pd.DataFrame(rows, columns=columns)}
    finding = of_losses.induction_is_causal(tables)
    assert (finding.value, finding.chance) == (1.5, pytest.approx(0.1))
    assert of_losses.induction_is_causal(INDUCTION | {"ablations": pd.DataFrame(columns=columns)}) is None


def trained(events, gains):
    losses = [
        (step, "loss", token_class, "repeated_text", value)
        for step, gain in gains.items()
        for token_class, value in (("first_copy", 5.0), ("second_copy", 5.0 - gain))
    ]
    columns = ["step", "metric", "definition", "eval_set", "value"]
    checkpoint_scores = pd.DataFrame(losses, columns=columns).assign(layer=None, head=None, period=None, chance=None)
    return {
        "checkpoint_scores": checkpoint_scores,
        "emergence": pd.DataFrame(events.items(), columns=["event", "step"]),
    }


def test_all_that_is_gained_in_the_window_of_prefix_matching_is_counted():
    gains = {0: 0.0, 100: 0.0, 400: 1.5, 6399: 2.0}
    finding = of_training.phase_change(trained({"prefix_matching": 200.0}, gains))
    assert finding.value == pytest.approx(0.75)
    assert finding.chance == pytest.approx(math.log(401 / 101) / math.log(6400))
    late = of_training.phase_change(trained({"prefix_matching": 6399.0}, gains))
    assert late.value == pytest.approx(0.25 * math.log(6400 / 3200.5) / math.log(6400 / 401))
    assert of_training.phase_change(trained({"prefix_matching": None}, gains)) is None


def test_which_came_first_is_told_in_doublings():
    events = {"previous_token": 100.0, "prefix_matching": 800.0}
    assert of_training.previous_token_first(trained(events, {})).value == pytest.approx(3)
    assert of_training.previous_token_first(trained({"previous_token": 100.0}, {})) is None
