"""What the study says: every claim, judged on every experiment."""

import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from pipeline.claims.catalogue import CLAIMS
from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import confidence_of, new, sentence

TITLE = "Which claims hold, and in which experiment"
CAPTION = (
    "In each cell the statistic's mean over seeds and its {confidence} interval, judged against the threshold at the "
    "right: reproduced if the whole interval lies at or above it, and above chance; not reproduced if the whole "
    "interval lies below it, or not above chance; undecided otherwise and for a single seed. Claims that no experiment "
    "measured are left out. Each statistic in words, and each seed's heads and values: the table claims."
)
# Light enough for black text; the mark says the same to who sees no colour.
VERDICTS = {
    "reproduced": ("#A6D5C8", "✓"),
    "not reproduced": ("#F3BFA0", "✗"),
    "undecided": ("#F6E7A8", "?"),
    "not applicable": ("#EEEEEE", "-"),
    "not measured": ("#FFFFFF", " "),
}


@drawn_from("claims")
def claims(claims: pd.DataFrame) -> Figure:
    """Draw verdicts as [claim, experiment], with the values behind them.

    Args:
        claims: CLAIMS of a study.
    """
    measured = claims.loc[claims["verdict"] != "not measured", "claim"].unique()
    claims = claims[claims["claim"].isin(measured)]
    if claims.empty:
        return sentence(TITLE, "No claim was judged.")
    in_order = [claim.name for claim in CLAIMS if claim.name in measured]
    rows = list(dict.fromkeys([*in_order, *claims["claim"]]))
    columns = list(dict.fromkeys(claims["experiment"]))
    caption = CAPTION.format(confidence=confidence_of(claims))
    figure = new(TITLE, caption, 4.6 + 1.3 * max(len(columns), 2), 0.48 * len(rows) + 1.7)
    axes = figure.subplots()
    for cell in claims.to_dict("records"):
        row, column = rows.index(cell["claim"]), columns.index(cell["experiment"])
        colour, mark = VERDICTS[cell["verdict"]]
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
        axes.text(column, row, f"{mark} {_value(cell)}", ha="center", va="center", linespacing=1.4)
    statements = claims.drop_duplicates("claim").set_index("claim")
    axes.set_yticks(range(len(rows)), [textwrap.fill(statements["statement"][claim], 44) for claim in rows])
    axes.set_xticks(range(len(columns)), [column.replace("_", " ") for column in columns], fontweight="bold")
    axes.xaxis.tick_top()
    for row, claim in enumerate(rows):
        axes.text(len(columns) - 0.4, row, f"{statements['threshold'][claim]:g}", va="center")
    axes.text(len(columns) - 0.4, -0.62, "threshold", fontsize=7.5, fontweight="bold", va="bottom")
    axes.set(xlim=(-0.5, len(columns) + 0.15), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    keys = [Patch(facecolor=colour, label=f"{mark}  {verdict}") for verdict, (colour, mark) in VERDICTS.items()]
    axes.legend(handles=keys, loc="upper right", bbox_to_anchor=(1, 0), ncols=len(keys))
    return figure


def _value(cell: Mapping) -> str:
    if pd.isna(cell["value"]):
        return ""
    ends = f"\n[{cell['lo']:.2g}, {cell['hi']:.2g}]" if pd.notna(cell["lo"]) else "\none seed"
    return f"{cell['value']:.2g}{ends}"
