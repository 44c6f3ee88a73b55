import pytest


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("bits", 7, 23),
        ("influence_bits", 7, 23),
        ("pairs", 1, 10**9),
        ("direction_tokens", 1, 10**9),
        ("pattern_sentences", 1, 10**9),
    ],
)
def test_how_much_the_page_may_hold(accepted, refusal, name, least, most):
    for end in (least, most):
        assert getattr(accepted("atlas", **{name: end}), name) == end
    for beyond in (least - 1, most + 1):
        assert refusal("atlas", **{name: beyond}).startswith(f"atlas.{name}={beyond}: ")


def test_sentences_are_of_sets_that_there_are(refusal):
    assert refusal("atlas", sentences_of=["texts"]).startswith("atlas.sentences_of.0=texts: ")
