import numpy as np
from made_up import of_base

from pipeline.figures.offset_profiles import offset_profiles as draw


def test_offset_profiles_show_the_leading_heads_and_all_in_small(offset_profiles, head_scores):
    upper, _, lower = draw(of_base(offset_profiles), of_base(head_scores)).subfigs
    assert [part.get_suptitle().split(":")[0] for part in upper.subfigs] == ["Head 0.1", "Head 1.2"]
    # Distances 0 to 3 of 7. Four terms, their sum, and the zero line; one line of attention.
    assert [len(axes.lines) for part in upper.subfigs for axes in part.axes] == [6, 1, 6, 1]
    assert [axes.get_title(loc="left") for axes in lower.axes] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    np.testing.assert_allclose(lower.axes[0].lines[0].get_ydata(), 1 / np.arange(1, 5))
