import pandas as pd

from pipeline.atlas_page.contents import HEAD, Part, by_block, parts, where_tokens_are

HELD = parts(3, 2, 2, (("induction", "mass"), ("copying", "olsson")), ("text",))
PAIRS = pd.DataFrame(
    [
        ("base", 0, 0, 1, "OV", "top", 0, "a", "b"),
        ("base", 0, 0, 1, "OV", "top", 1, "a", "a"),
        ("base", 0, 1, 0, "QK", "bottom", 0, "b", "c"),
    ],
    columns=[*HEAD, "circuit", "end", "rank", "row_token", "column_token"],
)


def test_settings_say_which_rows_are_kept():
    assert HELD["vocab_pairs"].where == {"rank": (0, 1, 2)}
    assert HELD["vocab_units"].where["rank"] == (0, 1)
    kept = {"metric": ("induction", "copying"), "definition": ("mass", "olsson"), "eval_set": ("text",)}
    assert HELD["sentence_scores"].where == kept


def test_a_row_goes_to_the_block_of_its_run_or_head():
    held = {"maps": Part("head", ("value",)), "curve": Part("run", ("value",)), "scores": Part("study", ("value",))}
    places = [("base", 0, 0, 0), ("base", 0, 1, 1), ("other", 2, 0, 0)]
    maps = pd.DataFrame(places, columns=HEAD).assign(value=[1, 2, 3])
    curve = pd.DataFrame([("base", 0), ("other", 2)], columns=HEAD[:2]).assign(value=[4, 5])
    blocks = dict(by_block({"maps": maps, "curve": curve, "scores": maps}, held))
    assert {name: frame["value"].tolist() for name, rows in blocks.items() for frame in rows.values()} == {
        "run/base/0": [4],
        "run/other/2": [5],
        "head/base/0/0.0": [1],
        "head/base/0/1.1": [2],
        "head/other/2/0.0": [3],
    }
    assert all(list(frame) == ["value"] for rows in blocks.values() for frame in rows.values())


def test_a_head_that_one_table_has_not_is_empty_there():
    held = {"maps": Part("head", ("value",)), "pairs": Part("head", ("value",))}
    maps = pd.DataFrame([("base", 0, 0, 0, 7)], columns=[*HEAD, "value"])
    blocks = dict(by_block({"maps": maps, "pairs": maps.iloc[:0]}, held))
    assert [len(frame) for frame in blocks["head/base/0/0.0"].values()] == [1, 0]


def test_a_token_is_where_it_ranks_best():
    found = where_tokens_are(PAIRS)
    rows = set(found[["token", "layer", "circuit", "side", "rank"]].itertuples(index=False, name=None))
    assert rows == {
        ("a", 0, "OV", "row", 0),
        ("a", 0, "OV", "column", 1),
        ("b", 0, "OV", "column", 0),
        ("b", 1, "QK", "row", 0),
        ("c", 1, "QK", "column", 0),
    }
