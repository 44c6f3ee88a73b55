def test_there_is_nothing_to_choose_but_threads(accepted, refusal):
    assert accepted("extract", threads=3).model_dump() == {"threads": 3}
    assert refusal("extract", dtype="float16") == "extract.dtype: no such setting"
    assert refusal("extract", threads=0).startswith("extract.threads=0: input should be greater than or equal to 1")
