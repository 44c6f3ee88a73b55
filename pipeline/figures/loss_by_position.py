"""Does the model predict better what it has seen before? Loss by position."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, RED, new, sentence

TITLE = "Loss by position: what was seen before is predicted better"
CAPTION = (
    "Thin: one seed, every position; thick: mean over seeds, smoothed over 9 positions. First copy: tokens of a "
    "segment that will come again; second copy: tokens of a later occurrence, which looking back could predict; its "
    "first token, which nothing foretells, is left out. In brackets: mean over positions and seeds."
)
COLOURS = {"other": BLACK, "first_copy": BLUE, "second_copy": RED}
NAMES = {"other": "other tokens", "first_copy": "first copy", "second_copy": "second copy"}
SETS = {
    "text": "held-out text",
    "repeated_text": "held-out text with a copied segment",
    "repeated_tokens": "random tokens, period {:.0f}",
}
SMOOTH = 9  # positions


@drawn_from("loss_by_position")
def loss_by_position(loss_by_position: pd.DataFrame) -> Figure:
    """Draw the loss at each position, a panel a set of sequences, a line a class of tokens.

    Args:
        loss_by_position: LOSS_BY_POSITION of one experiment, all seeds.
    """
    losses = loss_by_position[loss_by_position["eval_set"].isin(SETS)]
    if losses.empty:
        return sentence(TITLE, "No loss was measured in this experiment.")
    panels = [
        SETS[eval_set].format(period)
        for eval_set, period in zip(losses["eval_set"], losses["period"].fillna(0), strict=True)
    ]
    losses = losses.assign(panel=panels, place=losses["eval_set"].map(list(SETS).index))
    order = losses.sort_values(["place", "period"])["panel"].unique()
    figure = new(TITLE, CAPTION, 1.25 * len(order) + 0.3)
    panels = figure.subplots(len(order), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, panel in zip(panels, order, strict=True):
        _panel(axes, losses[losses["panel"] == panel])
        axes.set(title=panel, ylabel="nats per token")
        # Repeated random tokens leave the foot of the panel free, text its head.
        axes.legend(loc="lower left" if "period" in panel else "upper right")
    panels[0].set_ylim(0, None)
    panels[-1].set_xlabel("position in the sequence (tokens)")
    return figure


def _panel(axes: Axes, losses: pd.DataFrame) -> None:
    for token_class, colour in COLOURS.items():
        rows = losses[losses["token_class"] == token_class]
        if rows.empty:
            continue
        by_seed = rows.pivot_table(index="position", columns="seed", values="loss")
        by_seed = by_seed.reindex(range(by_seed.index.min(), by_seed.index.max() + 1))
        mean = (rows["loss"] * rows["n"]).sum() / rows["n"].sum()
        axes.plot(by_seed.index, by_seed, color=colour, linewidth=0.4, alpha=0.4)
        smooth = by_seed.mean(axis=1).rolling(SMOOTH, center=True, min_periods=1).mean()
        axes.plot(by_seed.index, smooth, color=colour, label=f"{NAMES[token_class]} ({mean:.2f})")
