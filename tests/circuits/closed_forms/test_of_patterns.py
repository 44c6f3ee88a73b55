import math
from dataclasses import replace

import pytest
from constructions import case, construction, repeated

from pipeline.circuits.closed_forms import of_patterns
from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import DISTRACTED, ROUNDING, TIES, UNDEFINED
from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.closed_forms.of_patterns import counted, without_begin

SHARP = {"position_gain": 40.0, "match_gain": 40.0}


@pytest.mark.parametrize(
    ("repeats", "period", "closed_form", "expected"),
    [
        (2, 50, counted("induction", "mass"), 1.0),
        (4, 25, counted("induction", "entry_mean"), 0.5),  # 75 queries with 150 targets, as Olsson et al. count
        (2, 50, counted("induction", "detector_mul"), 50 / 101),  # TransformerLens divides by every query
        # Right at all queries with targets, and wrong about all that the 51 others give.
        (2, 50, counted("induction", "detector_abs"), 1 - 51 / 101),
        (2, 50, of_patterns.stripe, (50 + 1 / 50 + 1 / 51) / 52),  # two entries are no matches: even attention there
    ],
)
def test_a_perfect_induction_head_by_every_definition(repeats, period, closed_form, expected):
    wired = construction("induction", d_vocab=52, n_ctx=101, d_model=205, **SHARP)
    read = [follow(wired, repeated(period, repeats))]
    assert closed_form(case(wired, 1, read, period)) == pytest.approx(expected, abs=1e-9)


def test_a_positional_head_passes_for_induction_at_its_own_period_alone():
    wired = construction("positional_shortcut", offset=4, position_gain=40.0)
    mass = counted("induction", "mass")
    assert mass(case(wired, 0, period=5)) == pytest.approx(1)
    assert mass(case(wired, 0, period=4)) == pytest.approx(0, abs=1e-6)


def test_even_attention_scores_harmonic_numbers():
    even = case(construction("copy"), 0)
    assert counted("current_token", "mass")(even) == pytest.approx(sum(1 / n for n in range(1, 12)) / 11)
    first = counted("first_token", "mass")(even)
    assert first == pytest.approx(sum(1 / n for n in range(2, 12)) / 10)
    assert counted("previous_token", "mass")(even) == pytest.approx(first)


def test_even_attention_has_all_the_entropy_and_goes_half_way_back():
    even = case(construction("copy"), 0)
    assert of_patterns.entropy(even) == pytest.approx(1)
    assert of_patterns.distance(even) == pytest.approx(sum(n / 2 for n in range(11)) / 11)
    back = case(construction("previous_token", position_gain=40.0), 0)
    assert of_patterns.entropy(back) == pytest.approx(0, abs=1e-9)
    assert of_patterns.distance(back) == pytest.approx(10 / 11)


def test_longer_prefixes_have_fewer_queries():
    """Two repeats of five tokens: five queries match one token, four two and three three; the head is perfect."""
    wired = case(construction("induction", **SHARP), 1)
    for prefix in (1, 2, 3):
        role = "induction" if prefix == 1 else f"match_{prefix}"
        assert counted(role, "mass")(wired) == pytest.approx(1)
        share = counted(role, "detector_mul")(wired)  # over all eleven queries
        assert share == pytest.approx((6 - prefix) / 11)


def test_an_only_head_is_as_active_as_its_layer():
    assert of_patterns.inactivity(case(construction("copy"), 0)) == 0
    assert of_patterns.inactivity(case(construction("copy", n_heads=2, d_model=64), 0)) == DISTRACTED


def test_what_is_attended_to_is_raised_or_lowered_by_the_wiring():
    """It looks at the token before and gives it 2 logits, of which each of fourteen tokens has a share in the mean."""
    before = case(construction("previous_token", position_gain=40.0), 0)
    # The first query's token before is [BEGIN], which does not count.
    assert of_patterns.attended_logit(before) == pytest.approx(2 * (1 - 1 / 14) * 9 / 10)
    assert of_patterns.attended_logit(case(construction("anticopy"), 0)) < 0
    assert of_patterns.attended_logit(case(construction("induction"), 0)) == 0


def test_the_latest_of_several_targets_has_its_share():
    """Three repeats: queries of the second have one target, those of the third two, alike to the head."""
    wired = construction("induction", **SHARP, n_ctx=16, d_model=44)
    thrice = case(wired, 1, [follow(wired, repeated(5, 3))])
    assert counted("induction", "most_recent")(thrice) == pytest.approx((5 * 1 + 5 / 2) / 10, abs=1e-6)


def test_where_no_query_counts_there_is_no_score():
    wired = construction("copy")
    assert math.isnan(counted("duplicate_token", "mass")(case(wired, 0, [follow(wired, [0, 1, 2, 3])])))


def test_what_olsson_copying_gives_a_head_that_raises_only_what_it_attends_to():
    assert of_patterns.olsson(case(construction("previous_token", position_gain=40.0), 0)) == pytest.approx(1)
    # One that lowers what it attends to raises all others.
    assert of_patterns.olsson(case(construction("anticopy"), 0)) < 0


def test_without_begin_even_attention_has_one_key_fewer():
    even = case(construction("copy"), 0)
    previous = without_begin(counted("previous_token", "mass"))(even)
    assert previous == pytest.approx(sum(1 / keys for keys in range(2, 11)) / 9)
    itself = without_begin(counted("current_token", "mass"))(even)
    assert itself == pytest.approx(sum(1 / keys for keys in range(1, 11)) / 10)


def test_without_begin_a_perfect_head_keeps_its_score():
    """Perfect where it has targets; elsewhere it looks at all keys alike, one of which is on the stripe."""
    wired = construction("induction", **SHARP)
    perfect = case(wired, 1)
    assert without_begin(counted("induction", "mass"))(perfect) == pytest.approx(1)
    assert without_begin(of_patterns.stripe)(perfect) == pytest.approx((1 / 5 + 5) / 6)


def test_a_head_that_does_not_write_to_the_logits_has_no_olsson_copying():
    assert of_patterns.olsson(case(construction("induction"), 0)) == UNDEFINED
    dense = construction("induction", basis="random", d_model=64)
    assert of_patterns.olsson(case(dense, 0)) == ROUNDING


def test_attention_to_the_token_before_is_counted_on_text():
    wired = construction("induction")
    gain = math.exp(3.0)
    expected = [gain / (gain + query) for query in range(1, 11)]
    text = [follow(wired, repeated(5, 2))]
    on_nothing = Case(wired, 1, [], first=1, period=None, text=text)
    assert of_patterns.previous_attention(on_nothing, 0) == pytest.approx(sum(expected) / len(expected))


def test_what_follows_attention_leaves_out_what_is_written_anyway():
    """Two keys in turn, each raised by 2 where it is looked at; even attention is raised evenly and chooses little."""
    before = case(construction("previous_token", position_gain=40.0), 0)
    assert 0 < of_patterns.chosen_logit(before) < of_patterns.attended_logit(before)
    assert of_patterns.chosen_logit(case(construction("induction"), 0)) == 0
    one = case(construction("copy"), 0, [follow(construction("copy"), [0, 3])])
    assert of_patterns.chosen_logit(one) == pytest.approx(0)  # one query is its own mean


def test_of_tokens_at_right_angles_none_is_near():
    wired = case(construction("induction"), 1)
    assert of_patterns.fuzzy(replace(wired, period=None)) == TIES
    assert math.isnan(of_patterns.fuzzy(wired))  # on random tokens it is not measured
