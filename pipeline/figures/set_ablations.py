"""What the loss does without sets of heads, the best of a role first: heads that are redundant matter together."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.claims.best_heads import SCORES
from pipeline.figures.ablations import SETS, on_copied_text
from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, GREY, LIGHT, ORANGE, confidence_of, keyed, sentence

TITLE = "What the loss does without the best heads of a role, taken together"
CAPTION = (
    "Loss added on {kind} of {set} without a set of heads, as a share of what is added without all heads of the set's "
    "layers; none where the {confidence} interval of the latter does not lie above 0. Heads are ranked on other "
    "sentences than these; a line a seed, its ring the set of all heads whose score says that they play the role. "
    "Band: least to greatest over seeds and random sets, as many other heads of the same layers that write about as "
    "much; where a layer has too few others, the random sets share heads with the ranked one. Dashed: the heads stay, "
    "and random vectors as long as what they write are taken away; mean over seeds. Area: mean share over sizes, "
    "of the best heads and of random ones; mean over seeds."
)
WORDS = {"second_copy": "second copies", "all": "all tokens"}
COLUMNS = 2
SHOWN = (-0.3, 1.3)  # shares that the axis shows at least


@drawn_from("set_ablations", "set_curves")
def set_ablations(set_ablations: pd.DataFrame, set_curves: pd.DataFrame) -> Figure:
    """Draw the share of the effect against the size of the set, a panel a role.

    Args:
        set_ablations: SET_ABLATIONS of one experiment, all seeds.
        set_curves: SET_CURVES of the same.
    """
    rows = on_copied_text(set_ablations)
    if rows.empty:
        return sentence(TITLE, "No heads of this experiment were taken away: none was scored by what it attends to.")
    kind = next(each for each in WORDS if each in set(rows["token_class"]))
    rows, curves = (part[part["token_class"] == kind] for part in (rows, on_copied_text(set_curves)))
    roles = [role for role in SCORES if role in set(rows["role"])]
    caption = CAPTION.format(kind=WORDS[kind], set=SETS[rows["eval_set"].iloc[0]], confidence=confidence_of(rows))
    lines = -(-len(roles) // COLUMNS)
    figure, drawn, keys = keyed(TITLE, caption, 1.15 * lines + 0.2, 2)
    grid = drawn.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[len(roles) :]:
        axes.remove()
    for axes, role in zip(grid, roles, strict=False):
        _panel(axes, rows[rows["role"] == role])
        axes.set_title(role.replace("_", " "))
        words = _areas(curves[curves["role"] == role])
        axes.text(0.98, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", color=GREY)
    for axes in grid[: len(roles) : COLUMNS]:
        axes.set_ylabel("share of effect")
    for axes in grid[max(0, len(roles) - COLUMNS) : len(roles)]:
        axes.set_xlabel("heads taken away")
        axes.tick_params(labelbottom=True)
    keys.legend(handles=KEYS, loc="upper left", ncols=2)
    return figure


KEYS = (
    Line2D([], [], color=ORANGE, marker=".", label="best heads"),
    Patch(facecolor=BLUE, alpha=0.25, label="random heads"),
    Line2D([], [], color=GREY, linestyle="--", label="random directions"),
    Line2D([], [], color=BLACK, linewidth=0.8, label="whole layers"),
)


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    sizes = sorted(rows.loc[rows["kind"] == "ranked", "size"].unique())
    known = rows[rows["size"].isin(sizes)].dropna(subset="share")
    axes.axhline(0, color=LIGHT, linewidth=0.8)
    axes.axhline(1, color=BLACK, linewidth=0.8)
    if known.empty:
        axes.text(0.5, 0.5, "no sure effect", transform=axes.transAxes, ha="center", va="center", color=GREY)
    random = known[known["kind"] == "random"].groupby("size")["share"]
    axes.fill_between(random.min().index, random.min(), random.max(), color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(random.mean(), color=BLUE, linewidth=0.9)
    axes.plot(known[known["kind"] == "random_direction"].groupby("size")["share"].mean(), color=GREY, linestyle="--")
    for _, of_seed in known.groupby("seed"):
        ranked = of_seed[of_seed["kind"] == "ranked"].set_index("size")["share"].sort_index()
        axes.plot(ranked, color=ORANGE, marker=".", linewidth=1.1)
        role = of_seed[of_seed["kind"] == "role"]
        axes.plot(role["size"], role["share"], color=ORANGE, marker="o", markersize=6, fillstyle="none", linestyle="")
    axes.set_xticks(sizes)
    axes.set_xlim(sizes[0] - 0.5, sizes[-1] + 0.5)
    axes.set_ylim(min(SHOWN[0], axes.get_ylim()[0]), max(SHOWN[1], axes.get_ylim()[1]))


def _areas(curves: pd.DataFrame) -> str:
    """Return the areas under a role's curves in words; nothing where no seed has any."""
    areas = curves.groupby("kind")["area"].mean()
    words = [f"{name} {areas[kind]:.2f}" for kind, name in (("ranked", "area"), ("random", "random")) if kind in areas]
    return ", ".join(words)
