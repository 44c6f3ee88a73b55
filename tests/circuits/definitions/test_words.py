import math

import pytest

from pipeline.circuits.definitions.words import level_in_words


@pytest.mark.parametrize(
    ("level", "words"), [(0.5, "0.5"), (0.0, "0"), (math.nan, "in the table"), (lambda weights: 1.0, "by model")]
)
def test_a_level_that_is_no_number_says_where_to_look(level, words):
    assert level_in_words(level) == words
