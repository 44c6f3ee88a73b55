from pipeline.tables.probe import SEQUENCES

TOKENS = [("[BEGIN]", "other"), ("a", "first_copy"), ("b", "first_copy"), ("a", "second_copy"), ("b", "second_copy")]
IDS = {"[BEGIN]": 0, "a": 5, "b": 6}


def sequence(**which):
    return [
        {"position": place, "token_id": IDS[token], "token": token, "token_class": kind, **which}
        for place, (token, kind) in enumerate(TOKENS)
    ]


def test_sequences_lie_set_by_set_and_token_by_token(kept):
    """A block of two, repeated once; the same in a set that has no period stands first."""
    periodic = sequence(eval_set="repeated_tokens", period=2)
    rows = kept(SEQUENCES, *periodic[::-1], *sequence(eval_set="repeated_text"))
    assert rows["token_id"].tolist() == [0, 5, 6, 5, 6] * 2
    assert rows["period"].isna().tolist() == [True] * 5 + [False] * 5
    repeated = rows[rows["period"].notna()].set_index("position")["token_id"]
    assert repeated[3] == repeated[3 - 2]


def test_a_place_holds_one_token(refusal):
    periodic = sequence(eval_set="repeated_tokens", period=2)
    assert "two rows share the key" in refusal(SEQUENCES, *periodic, periodic[0] | {"token_id": 9})
    assert refusal(SEQUENCES, periodic[0] | {"period": 0}) == "column period: 0 is below 1"
    assert "'copy' is not one of other, first_copy, second_copy" in refusal(
        SEQUENCES, periodic[0] | {"token_class": "copy"}
    )
