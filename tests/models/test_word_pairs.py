from pipeline.circuits.definitions.definition import OfRelation
from pipeline.circuits.definitions.registry import HEADS, measured_as
from pipeline.models.word_pairs import RELATIONS, found


def test_each_relation_is_scored_and_each_score_has_its_words():
    assert {measure.relation for _, measure in measured_as(OfRelation, HEADS)} == set(RELATIONS)


def test_pairs_are_of_two_words_and_no_source_comes_twice():
    for pairs in RELATIONS.values():
        assert all(source != target and source.isalnum() and target.isalnum() for source, target in pairs)
        assert len({source for source, _ in pairs}) == len(pairs)


def test_days_and_months_go_round_and_numbers_do_not():
    assert ("Sunday", "Monday") in RELATIONS["days"]
    assert ("December", "January") in RELATIONS["months"]
    assert [len(RELATIONS[name]) for name in ("days", "months", "numerals", "letters")] == [7, 12, 99, 2 * 25]
    assert ("France", "Paris") in RELATIONS["capitals"]
    assert ("The", "the") in RELATIONS["lower_case"]


def test_both_words_of_a_pair_have_a_space_before_them_or_neither():
    ids = {" one": 5, " two": 6, "one": 7, "two": 8, "three": 9, " four": 10, "five": 11}
    pairs = {(pair.source, pair.target): (pair.source_id, pair.target_id) for pair in found(ids)}
    assert pairs["one", "two"] == (5, 6)
    assert pairs["two", "three"] == (8, 9)
    assert pairs["four", "five"] == (None, None)
    assert len(pairs) == sum(map(len, RELATIONS.values()))
