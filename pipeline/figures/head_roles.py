"""Which head does what: every head's role, and how sure it is."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import ink
from pipeline.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, keyed, sentence

TITLE = "What each head is"
CAPTION = (
    "Darker is surer: below each name a lower bound of the probability that all measured criteria of the role hold. "
    "Hatched, and with a question mark: something that the role asks for was not measured. "
    "An induction head matches prefixes on every period and across random gaps, by content, and its removal costs loss "
    "on second copies; a prefix matcher fails one of these; a positional shortcut finds the right key by its distance. "
    "The numbers behind each role, and other roles a head has: the table head_roles. A head's number means nothing "
    "across seeds."
)
COLOURS = {
    "induction": RED,
    "positional_shortcut": PURPLE,
    "prefix_matching": ORANGE,
    "previous_token": BLUE,
    "duplicate_token": SKY,
    "current_token": GREEN,
    "first_token": "#B0B0B0",
    "positional": "#27406B",
    "fuzzy_induction": "#F2A39B",
    "successor": "#6FA52F",
    "relation": "#C3DE8B",
    "copying": "#F0E442",
    "copy_suppression": "#8C6D31",
    "direct_copying": "#B39A00",
    "inactive": "#D8D8D8",
    "none": "#F2F2F2",
}
CODES = {"inactive": "-", "none": ""}  # in cells; of the others their initials, or first letters
PALEST = 0.25  # opacity of a role without any certainty
HATCH = "////"  # of a role of which something was not measured
CERTAINTY_UP_TO, CODES_UP_TO = 10, 16  # heads a layer; more leave no room in a cell for so much


@drawn_from("head_roles")
def head_roles(head_roles: pd.DataFrame) -> Figure:
    """Draw the heads of each seed as [layer, head], coloured by role.

    Args:
        head_roles: HEAD_ROLES of one experiment.
    """
    if head_roles.empty:
        return sentence(TITLE, "This experiment has no heads.")
    seeds, layers = sorted(head_roles["seed"].unique()), int(head_roles["layer"].max()) + 1
    height = (0.27 if head_roles["head"].max() < CERTAINTY_UP_TO else 0.14) * layers + 0.25
    met = [role for role in COLOURS if (head_roles["role"] == role).any()]
    figure, drawn, keys = keyed(TITLE, CAPTION, height * len(seeds) + 0.35, 1 + len(met) // 2)
    panels = drawn.subplots(len(seeds), 1, squeeze=False, sharex=True)[:, 0]
    for axes, seed in zip(panels, seeds, strict=True):
        _heads(axes, head_roles[head_roles["seed"] == seed])
        axes.set(title=f"seed {seed}", ylabel="layer")
    panels[-1].set_xlabel("head")
    words = {role: f"{code(role)} {role.replace('_', ' ')}" for role in met}
    patches = [Patch(facecolor=COLOURS[role], edgecolor=GREY, label=text) for role, text in words.items()]
    if (head_roles["unmeasured"] != "").any():
        patches.append(Patch(facecolor=GREY, edgecolor="white", hatch=HATCH, label="? not all measured"))
    keys.legend(handles=patches, loc="upper left", ncols=2)
    return figure


def code(role: str) -> str:
    """Return what stands for a role in a cell: IN, PT."""
    first, *others = role.split("_")
    return CODES.get(role, (first[0] + others[0][0] if others else first[:2]).upper())


def _heads(axes: Axes, heads: pd.DataFrame) -> None:
    """Draw one run's heads, the first layer at the bottom, as a transformer is read."""
    width = int(heads["head"].max()) + 1
    for row in heads.to_dict("records"):
        colour = _paled(COLOURS[row["role"]], PALEST + (1 - PALEST) * row["certainty"])
        place = (row["head"] - 0.5, row["layer"] - 0.5)
        hatch = HATCH if row["unmeasured"] else None
        axes.add_patch(Rectangle(place, 1, 1, facecolor=colour, edgecolor="white", linewidth=1, hatch=hatch))
        if width <= CODES_UP_TO:
            text = code(row["role"]) + "?" * bool(row["unmeasured"])
            text += f"\n{row['certainty']:.2f}" * (width <= CERTAINTY_UP_TO)
            behind = {"facecolor": colour, "edgecolor": "none", "pad": 0.5}  # where lines would cross the words
            axes.text(row["head"], row["layer"], text, ha="center", va="center", color=ink(colour), bbox=behind)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, heads["layer"].max() + 0.5))
    axes.set_xticks(range(width))
    axes.set_yticks(range(int(heads["layer"].max()) + 1))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _paled(colour: str, opacity: float) -> tuple[float, float, float, float]:
    """Return a colour mixed with white, opaque."""
    red, green, blue, _ = (1 - opacity * (1 - part) for part in to_rgba(colour))
    return red, green, blue, 1.0
