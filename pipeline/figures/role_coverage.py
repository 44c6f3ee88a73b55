"""How much of each head its roles explain, and what none of them does."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, listed_heads, name, names_of
from pipeline.figures.style import BLACK, BLUE, GREY, LIGHT, LINE, ORANGE, SMALL, confidence_of, keyed, sentence

TITLE = "How much of each head is its role, and how much is unexplained"
CAPTION = (
    "First seed, held-out text. Effect: KL of the next token, as the model is, from the model with the head at its "
    "mean; of a head without one, nothing is said. Then the share of it that returns when the head keeps one role's "
    "attention alone or, for copying, of all attention what speaks for the token attended to. Bars: {confidence} over "
    "sentences; full dots: it lies above 0, and so does that of share minus chance. Chance: as many random keys, or "
    "other tokens' directions; triangles: beyond the axis. Unexplained: what all attention roles together leave. Roles "
    "overlap."
)
PANELS = {
    "previous_token": "previous\ntoken",
    "current_token": "current\ntoken",
    "first_token": "[BEGIN]",
    "duplicate_token": "duplicate\ntoken",
    "induction": "induction",
    "copying": "copying",
}
SHOWN = (-0.35, 1.15)  # shares that an axis shows
COLUMNS = 4


@drawn_from("role_coverage")
def role_coverage(role_coverage: pd.DataFrame) -> Figure:
    """Draw the share of each role as [head], a panel a role, between the head's effect and what is unexplained.

    Args:
        role_coverage: ROLE_COVERAGE of one experiment.
    """
    rows = first_seed(role_coverage)
    if rows["share"].isna().all():
        return sentence(TITLE, "No head of this experiment was measured: none changes a prediction of the next token.")
    heads, others = listed_heads(rows, "effect", "effects")
    names = [name(head) for head in heads]
    rows = rows.assign(name=names_of(rows))
    rows = rows[rows["name"].isin(names)]
    rows = rows.assign(place=rows["name"].map(names.index))
    met = [role for role in PANELS if rows.loc[rows["role"] == role, "share"].notna().any()]
    lines = -(-(len(met) + 2) // COLUMNS)
    caption = CAPTION.format(confidence=confidence_of(rows)) + others
    figure, drawn, keys = keyed(TITLE, caption, (LINE * len(heads) + 0.5) * lines, 2)
    grid = drawn.subplots(lines, COLUMNS, sharey=True, squeeze=False).ravel()
    effect, *panels, rest = grid[: len(met) + 2]
    for axes in grid[len(met) + 2 :]:
        axes.remove()
    whole = rows[~rows["role"].isin(PANELS)]  # all attention roles together
    effect.barh(whole["place"], whole["effect"], color=GREY, height=0.6)
    effect.set(xlabel="nats", xlim=(0, None))
    effect.set_title("effect", fontsize=SMALL)
    effect.locator_params(axis="x", nbins=2)
    for axes, role in zip(panels, met, strict=True):
        _shares(axes, rows[rows["role"] == role])
        axes.set(xlabel="share", xlim=SHOWN, xticks=[0, 1])
        axes.set_title(PANELS[role], fontsize=SMALL)
    left = whole.assign(share=1 - whole["share"], lo=1 - whole["hi"], hi=1 - whole["lo"])
    _bars(rest, left)
    rest.set(xlabel="share", xlim=(0, SHOWN[1]), xticks=[0, 1])
    rest.set_title("unexplained", fontsize=SMALL)
    effect.set_yticks(range(len(heads)), names)
    effect.set_ylim(len(heads) - 0.5, -0.5)
    for axes in (effect, *panels, rest):
        axes.tick_params(axis="y", length=0)
    keys.legend(handles=KEYS, loc="upper left", ncols=2)
    return figure


KEYS = (
    Line2D([], [], color=ORANGE, marker="o", markersize=4, label="surely some"),
    Line2D([], [], color=ORANGE, marker="o", markersize=4, fillstyle="none", label="not surely"),
    Line2D([], [], color=BLUE, marker="|", linestyle="", label="chance"),
    Patch(facecolor=BLACK, label="unexplained"),
)


def _shares(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one role's shares beside chance; what lies beyond the axis as a triangle at its edge."""
    rows = rows.dropna(subset="share")
    axes.axvline(0, color=LIGHT, linewidth=0.8)
    axes.axvline(1, color=LIGHT, linewidth=0.8)
    for value, colour, inside in (("chance", BLUE, "|"), ("share", ORANGE, "o")):
        beyond = rows[value] < SHOWN[0]
        edge = [SHOWN[0] + 0.04] * int(beyond.sum())
        axes.plot(edge, rows.loc[beyond, "place"], "<", color=colour, markersize=3)
        within = rows[~beyond]
        sure = ((within["lo"] > 0) & (within["above_lo"] > 0)) | (value == "chance")
        for chosen, fill in ((sure, "full"), (~sure, "none")):
            axes.plot(
                within.loc[chosen, value],
                within.loc[chosen, "place"],
                inside,
                color=colour,
                markersize=2.5 if inside == "o" else 5,
                fillstyle=fill,
            )
    axes.hlines(rows["place"], rows["lo"], rows["hi"], color=ORANGE, linewidth=0.9)


def _bars(axes: Axes, rows: pd.DataFrame) -> None:
    rows = rows.dropna(subset="share")
    axes.barh(rows["place"], rows["share"], color=BLACK, height=0.6)
    axes.hlines(rows["place"], rows["lo"], rows["hi"], color=ORANGE, linewidth=0.9)
    axes.axvline(1, color=LIGHT, linewidth=0.8)
