from made_up import caption, labels

from pipeline.claims.catalogue import CLAIMS
from pipeline.figures.claims import VERDICTS
from pipeline.figures.claims import claims as draw


def test_claims_are_coloured_by_verdict(claims):
    axes = draw(claims).axes[0]
    colours = {VERDICTS[verdict][0] for verdict in claims["verdict"]}
    assert len(axes.patches) == 4
    assert len(colours) == 4
    cells = {(text.get_position()): text.get_text() for text in axes.texts}
    assert cells[0, 0] == "✓ 0.9\n[0.8, 1]"
    assert cells[0, 1] == "? 0.5\none seed"
    assert cells[1, 1] == "- "
    assert [text.get_text() for text in axes.get_yticklabels()] == ["The first claim", "The second claim"]


def test_known_claims_stand_in_the_order_they_are_made_in(claims):
    later, earlier = CLAIMS[3].name, CLAIMS[1].name
    renamed = claims.assign(claim=claims["claim"].map({"first": later, "second": earlier}))
    assert labels(draw(renamed).axes[0].get_yticklabels()) == ["The second claim", "The first claim"]


def test_a_claim_that_no_experiment_measured_is_not_drawn(claims):
    axes = draw(claims.assign(verdict=claims["verdict"].where(claims["claim"] == "first", "not measured"))).axes[0]
    assert labels(axes.get_yticklabels()) == ["The first claim"]
    assert len(draw(claims.assign(verdict="not measured")).axes) == 0


def test_the_caption_tells_how_sure(claims):
    assert "its 90 % interval" in caption(draw(claims))
