from pipeline.claims.keys import HEAD, RUN, head_name


def test_a_head_is_named_by_layer_and_number():
    assert head_name(1, 11) == "1.11"
    assert HEAD[: len(RUN)] == RUN
