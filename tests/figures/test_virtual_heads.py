from made_up import of_base

from pipeline.figures.style import GREEN
from pipeline.figures.virtual_heads import strongest_pair
from pipeline.figures.virtual_heads import virtual_heads as draw


def test_the_strongest_pair_is_the_one_whose_removal_costs_most(virtual_heads, head_pairs):
    assert strongest_pair(virtual_heads, head_pairs)[:2] == ("0.1", "1.2")
    assert strongest_pair(virtual_heads, head_pairs.iloc[:0])[:2] == ("0.0", "1.0")


def test_the_list_marks_what_really_comes_next(virtual_heads, head_pairs, term_maps):
    figure = draw(of_base(virtual_heads), of_base(head_pairs), of_base(term_maps), 4)
    texts = [text for axes in figure.axes for text in axes.texts]
    right = [text.get_text() for text in texts if text.get_color() == GREEN]
    # Rank 0 was made to be the next token, in both lists, at each of four positions.
    assert sorted(right) == sorted(["We", "Ġdog", r"\$\alph…", "Ċ"] * 2)
