import numpy as np
import pandas as pd
from made_up import labels, of_base

from pipeline.figures.head_scores import head_scores as draw


def test_head_scores_have_a_panel_a_seed_a_row_a_definition(head_scores):
    figure = draw(of_base(head_scores))
    panels = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["seed 0", "seed 1"]
    rows = [text.get_text() for text in panels[0].get_yticklabels()]
    assert rows[0] == "previous token: mean (0.05)"
    assert len(rows) == 4
    assert labels(panels[0].get_xticklabels()) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    written = [text.get_text() for text in panels[0].texts[:6]]
    assert written == ["0.10", "0.90", "0.10", "0.10", "0.10", "0.10"]
    # 0.9 is the row's largest distance from chance, 0.05; 0.1 is 0.05 / 0.85 of it.
    np.testing.assert_allclose(panels[0].images[0].get_array()[0, :2], [0.05 / 0.85, 1])


def test_each_score_is_shown_on_one_set_of_sequences(head_scores):
    """Induction on repeated tokens, whatever else it was measured on; a mean over periods."""
    on_text = head_scores[head_scores["metric"] == "induction"].assign(eval_set="text", value=0.0, period=None)
    rows = head_scores.assign(value=head_scores["value"].where(head_scores["period"] != 53, 0.3))
    on_text = on_text.drop_duplicates(["experiment", "seed", "layer", "head"])
    first = draw(of_base(pd.concat([rows, on_text]))).axes[0]
    row = labels(first.get_yticklabels()).index("induction: mass (0.05)")
    assert [text.get_text() for text in first.texts if text.get_position()[1] == row] == ["0.20"] * 5 + ["0.60"]
