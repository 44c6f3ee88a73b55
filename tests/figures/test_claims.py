import pandas as pd
from made_up import caption, labels

from pipeline.claims.catalogue import CLAIMS
from pipeline.figures.claims import VERDICTS
from pipeline.figures.claims import claims as draw


def statements(axes):
    """From the top."""
    return [
        text.get_text()
        for text in sorted(axes.texts, key=lambda text: text.get_position()[1])
        if "claim" in text.get_text()
    ]


def test_claims_are_coloured_by_verdict(claims):
    axes = draw(claims).axes[0]
    colours = {VERDICTS[verdict][0] for verdict in claims["verdict"]}
    assert len(axes.patches) == 4
    assert len(colours) == 4
    cells = {text.get_text(): text.get_position() for text in axes.texts}
    x = {words: cells[words][0] for words in ("✓ 0.9 [0.8, 1]", "? 0.5 one seed", "✗ 0.1 [0, 0.2]", "- ")}
    assert list(x.values()) == [0.5, 0.5, 1.5, 1.5]
    assert cells["? 0.5 one seed"][1] == cells["- "][1] > cells["✓ 0.9 [0.8, 1]"][1]
    assert statements(axes) == ["The first claim", "The second claim"]


def test_of_many_experiments_cells_have_room_for_values_alone(claims):
    more = pd.concat([claims, *(claims.assign(experiment=name) for name in ("third", "fourth"))])
    figure = draw(more)
    assert "✓ 0.9" in labels(figure.axes[0].texts)
    assert "and its interval" in caption(draw(claims))
    assert "and its interval" not in caption(figure)


def test_known_claims_stand_in_the_order_they_are_made_in(claims):
    later, earlier = CLAIMS[3].name, CLAIMS[1].name
    renamed = claims.assign(claim=claims["claim"].map({"first": later, "second": earlier}))
    assert statements(draw(renamed).axes[0]) == ["The second claim", "The first claim"]


def test_a_claim_that_no_experiment_measured_is_not_drawn(claims):
    axes = draw(claims.assign(verdict=claims["verdict"].where(claims["claim"] == "first", "not measured"))).axes[0]
    assert statements(axes) == ["The first claim"]
    assert len(draw(claims.assign(verdict="not measured")).axes) == 0


def test_the_caption_tells_how_sure(claims):
    assert "Its 90 % interval" in caption(draw(claims))
