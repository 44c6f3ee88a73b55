import numpy as np
import pytest

from pipeline.claims.matching import matched
from pipeline.tables.judge.head_matches import HEAD_MATCHES

HEAD = {"experiment": "base", "seed": 1, "layer": 0, "reference_experiment": "base", "reference_seed": 0}


def test_heads_that_changed_places_are_matched_and_one_too_many_has_no_partner(kept, refusal):
    """Three heads; the reference has the first two in the other order, and no third."""
    heads = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    rows = [
        HEAD | {"head": head, "reference_head": partner, "similarity": similarity, "at_random": at_random}
        for head, partner, similarity, at_random in matched(heads, heads[[1, 0]])
    ]
    table = kept(HEAD_MATCHES, *rows[::-1])
    assert table["head"].tolist() == [0, 1, 2]
    assert table["reference_head"].fillna(-1).tolist() == [1, 0, -1]
    assert table["similarity"].fillna(-2).tolist() == pytest.approx([1, 1, -2])
    # Two of six pairs correlate by 1, the others by -1/2.
    assert table["at_random"].tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert "two rows share the key" in refusal(HEAD_MATCHES, rows[0], rows[0])


def test_a_similarity_is_a_correlation(refusal):
    for value, said in ((1.5, "1.5 is above 1"), (-1.5, "-1.5 is below -1")):
        assert refusal(HEAD_MATCHES, HEAD | {"similarity": value}) == f"column similarity: {said}"
