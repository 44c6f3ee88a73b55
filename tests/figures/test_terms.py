from pipeline.figures.heads import first_seed
from pipeline.figures.terms import four_terms_of, rest_alone, term, total


def test_a_term_is_one_pair_of_sources(term_maps):
    rows = term(term_maps, "stream", "position")
    assert set(rows["query_source"]) == {"stream"}
    assert set(rows["key_source"]) == {"position"}
    assert total(term_maps)["pattern"].notna().all()


def test_in_layer_0_the_stream_is_the_token(term_maps):
    rows = first_seed(term_maps)
    expected = {0: "token", 1: "stream"}
    for layer, name in expected.items():
        terms = four_terms_of(rows[rows["layer"] == layer])
        assert list(terms) == [f"{name}-{name}", f"{name}-position", f"position-{name}", "position-position"]


def test_the_layers_own_sources_are_no_terms(attention_terms):
    """Where every source stands by itself there is a stream too, and it is that which counts."""
    rows = attention_terms[attention_terms["layer"] == 1]
    assert {source for pair in four_terms_of(rows) for source in pair.split("-")} == {"stream", "position"}


def test_without_positions_there_is_one_term(term_maps):
    without = term_maps[(term_maps["query_source"] != "position") & (term_maps["key_source"] != "position")]
    assert list(four_terms_of(without)) == ["stream-stream"]


def test_a_caption_tells_that_begin_is_left_out(attention_terms):
    assert "[BEGIN]" in rest_alone(attention_terms)
    assert rest_alone(attention_terms[attention_terms["keys"] == "all"]) == ""
