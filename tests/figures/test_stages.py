from pipeline.figures.stages import stages as draw


def test_the_longest_stage_stands_on_top(stages):
    axes = draw(stages).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["known_answers", "render", "project", "train"]
    assert [bar.get_width() for bar in axes.patches] == [1, 3, 6, 90, 1, 2, 4, 60]


def test_beside_each_bar_stand_its_jobs_and_memory(stages):
    texts = [text.get_text() for text in draw(stages).axes[0].texts]
    assert texts[-1] == "2 jobs, 90.0%,\n600 MiB, 1.6 floors"
    assert texts[:2] == ["1 job, 1.0%,\n10 MiB", "2 jobs, 3.0%"]


def test_a_line_marks_each_floor(stages):
    [marks] = draw(stages).axes[0].lines
    places = dict(zip(marks.get_ydata(), marks.get_xdata(), strict=True))
    assert {name: place for name, place in places.items() if place == place} == {"project": 2.5, "train": 100}
