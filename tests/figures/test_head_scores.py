import numpy as np
import pandas as pd
from made_up import of_base

from pipeline.figures.head_scores import head_scores as draw


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def maps(figure):
    return {axes.get_title(loc="left").partition("\n")[0]: axes for axes in figure.axes if axes.images}


def test_every_score_is_a_map_of_all_heads_of_all_seeds(head_scores):
    figure = draw(of_base(head_scores))
    first = maps(figure)["previous token"]
    assert first.get_title(loc="left") == "previous token\nchance 0.05"
    assert labels(first.get_yticklabels()) == ["seed 0", "seed 1"]
    assert first.get_yticks().tolist() == [0, 2]  # two layers each
    assert labels(list(maps(figure).values())[-1].get_xticklabels()) == ["0", "1", "2"]
    # 0.9 is the map's largest distance from chance, 0.05; 0.1 is 0.05 / 0.85 of it.
    np.testing.assert_allclose(first.images[0].get_array()[0, :2], [0.05 / 0.85, 1])


def test_each_score_is_shown_on_one_set_of_sequences(head_scores):
    """Induction on repeated tokens, whatever else it was measured on; a mean over periods."""
    on_text = head_scores[head_scores["metric"] == "induction"].assign(eval_set="text", value=0.0, period=None)
    rows = head_scores.assign(value=head_scores["value"].where(head_scores["period"] != 53, 0.3))
    on_text = on_text.drop_duplicates(["experiment", "seed", "layer", "head"])
    shown = maps(draw(of_base(pd.concat([rows, on_text]))))["induction"].images[0].get_array()
    np.testing.assert_allclose(np.sort(np.unique(shown.round(6)))[[0, -1]], [0.15 / 0.55, 1], atol=1e-6)


def test_the_title_says_which_heads_to_look_at(head_scores):
    title = draw(of_base(head_scores)).get_suptitle().replace("\n", " ")
    assert title == "What each head does: 0.1 looks one token back, 1.2 continues what it has seen (first seed)"


def test_many_heads_are_labelled_at_every_few(head_scores):
    rows = of_base(head_scores)
    many = pd.concat([rows.assign(head=rows["head"] + 3 * n, seed=0) for n in range(4)])
    many = many.drop_duplicates(["layer", "head", "metric", "definition", "eval_set", "period"])
    last = list(maps(draw(many)).values())[-1]
    assert labels(last.get_xticklabels()) == [str(head) for head in range(0, 12, 3)]
