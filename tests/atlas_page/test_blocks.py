import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from unpacked import opened

from pipeline.atlas_page.blocks import pack, rounded

FRAME = pd.DataFrame(
    {
        "score": [0.1, -2.5, np.nan, 1e-9, 12345.678],
        "step": pd.array([0, 70000, None, 255, -3], dtype="Int64"),
        "seed": [2**31, 2**31 + 7, 2**31, 2**31 + 70000, 2**31],
        "far": [0, 2**40, 0, 0, 1],
        "kept": [True, False, True, True, False],
        "token": ["</script>", None, "\u202e", "a\x00b", "</script>"],
    }
)


def test_what_goes_in_comes_out():
    tables, about = opened(pack({"heads": FRAME, "none": FRAME.iloc[:0]}, 23, {"study": "mine"}))
    assert about == {"study": "mine"}
    assert tables["heads"]["step"] == [0, 70000, None, 255, -3]
    assert tables["heads"]["seed"] == FRAME["seed"].tolist()
    assert tables["heads"]["far"] == FRAME["far"].tolist()
    assert tables["heads"]["kept"] == FRAME["kept"].tolist()
    assert tables["heads"]["token"] == ["</script>", None, "\u202e", "a\x00b", "</script>"]
    np.testing.assert_array_equal(tables["heads"]["score"], FRAME["score"].to_numpy("f4"))
    assert tables["none"] == {name: [] for name in FRAME}


def test_arrows_types_are_packed_as_pandas_own():
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    assert pack({"heads": table.to_pandas(types_mapper=pd.ArrowDtype)}, 12) == pack({"heads": FRAME}, 12)


@pytest.mark.parametrize("bits", [7, 12, 23])
def test_what_is_lost_of_a_number_is_half_of_its_last_bit(bits):
    values = np.array([1.0, -1 / 3, np.pi, 6.02e23, 1.17e-38, 0.0, np.nan])
    kept = rounded(values, bits)
    finite = values[:-1]
    assert np.all(np.abs(kept[:-1] - finite) <= np.abs(finite) * (2.0 ** -(bits + 1) + 2.0**-24))
    assert np.isnan(kept[-1])


def test_a_number_that_has_so_few_bits_stays_as_it_is():
    exact = np.array([0.5, 3.0, -1.5, 128.0, 0.0])
    assert rounded(exact, 7).tolist() == exact.tolist()


def test_the_same_columns_are_the_same_bytes():
    assert pack({"heads": FRAME}, 12) == pack({"heads": FRAME.copy()}, 12)


def test_a_page_can_hold_it_whatever_is_in_it():
    assert set(pack({"heads": FRAME}, 12)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_a_column_of_lists_is_refused():
    with pytest.raises(ValueError, match="column odd: object cannot be packed; give numbers, booleans or strings"):
        pack({"heads": pd.DataFrame({"odd": [[1], [2]]})}, 12)


def test_lists_of_bytes_come_out_as_they_went_in():
    attention = pa.array([[0, 255, 3], [], [7]], pa.list_(pa.int32()))
    frame = pa.table({"attention": attention, "sentence": [0, 1, 2]}).to_pandas(types_mapper=pd.ArrowDtype)
    tables, _ = opened(pack({"patterns": frame, "none": frame.iloc[:0]}, 12))
    assert tables["patterns"] == {"attention": [[0, 255, 3], [], [7]], "sentence": [0, 1, 2]}
    assert tables["none"]["attention"] == []
