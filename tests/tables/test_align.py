from itertools import product

from pipeline.tables.align import ALIGNMENT

RUNS = {"experiment": "base", "seed_a": 0, "seed_b": 1, "space": "vocabulary", "matrix": "OV"}


def test_every_head_of_one_run_stands_beside_every_head_of_the_other(kept, refusal):
    """Heads that changed places, but for a sign."""
    known = {(0, 0): 0.0, (0, 1): 1.0, (1, 0): -1.0, (1, 1): 0.25}
    rows = [
        RUNS | {"head_a": a, "head_b": b, "correlation": known[a, b], "matched": a != b}
        for a, b in product((1, 0), repeat=2)
    ]
    table = kept(ALIGNMENT, *rows)
    assert list(zip(table["head_a"], table["head_b"], strict=True)) == list(known)
    assert table["correlation"].tolist() == [*known.values()]
    assert table["matched"].tolist() == [False, True, True, False]
    assert "two rows share the key" in refusal(ALIGNMENT, *rows, rows[0])


def test_a_correlation_is_one_or_is_undefined(kept, refusal):
    assert kept(ALIGNMENT, RUNS | {"correlation": None})["correlation"].isna().all()
    for correlation, beyond in ((1.01, "above 1"), (-1.01, "below -1")):
        said = refusal(ALIGNMENT, RUNS | {"correlation": correlation})
        assert said == f"column correlation: {correlation} is {beyond}"
