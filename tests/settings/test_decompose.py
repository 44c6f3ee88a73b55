def test_a_map_has_a_token_to_look_back_at(accepted, refusal):
    assert accepted("decompose", map_tokens=2).map_tokens == 2
    assert refusal("decompose", map_tokens=1).startswith("decompose.map_tokens=1: input should be greater than or")


def test_the_layer_before_stays_apart(accepted, refusal):
    assert accepted("decompose", apart=1).apart == 1
    assert refusal("decompose", apart=0).startswith("decompose.apart=0: ")


def test_intervals_have_ends(refusal):
    assert "draw 40 or more" in refusal("decompose", confidence=0.95, resamples=39)
