from made_up import of_base, titles

from pipeline.figures.distance_scores import distance_scores as draw


def test_the_best_heads_and_the_one_that_goes_by_distance_most_are_drawn(distance_scores, head_scores):
    panels = draw(of_base(distance_scores), of_base(head_scores)).axes
    heads = ["Head 0.1, best previous-token head", "Head 1.2, best induction head", "Head 0.2, goes by distance most"]
    assert [title.replace("\n", " ").split(" (")[0] for title in titles(panels)] == heads
    lines = [axes.lines[-1].get_ydata().tolist() for axes in panels]
    # Of layer 1 what tokens are behind the first feed-forward part.
    assert lines == [[0.0] * 8, [-1.0] * 8, [0.0, 4.0, *[0.0] * 6]]
    band = panels[2].collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (-0.5, 4.5)


def test_a_head_is_drawn_once_and_all_that_it_is_best_at_is_said(distance_scores, head_scores):
    rows = of_base(distance_scores)
    rows = rows[rows["head"] == 1]
    panels = draw(rows.assign(position_part=1.0 * (rows["distance"] == 3)), of_base(head_scores)).axes
    assert [title.replace("\n", " ").split(" (")[0] for title in titles(panels)] == [
        "Head 0.1, best previous-token head"
    ]
    assert titles(panels)[0].replace("\n", " ").endswith(" and goes by distance most")


def test_heads_that_nothing_scored_leave_the_one_by_distance(distance_scores, head_scores):
    assert titles(draw(of_base(distance_scores), of_base(head_scores).iloc[:0]).axes) == [
        "Head 0.2, goes by distance most"
    ]
