"""What the study says: every claim, judged on every experiment."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from pipeline.claims.catalogue import CLAIMS
from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import LINE, WIDTH, confidence_of, keyed, sentence

TITLE = "Which claims hold, and in which experiment"
CAPTION = (
    "In each cell the statistic's mean over seeds{ends}. Its {confidence} interval is judged against the threshold "
    "(least): reproduced if the whole interval lies at or above it, and above chance; not reproduced if the whole "
    "interval lies below it, or not above chance; undecided otherwise and for a single seed. Claims that no experiment "
    "measured are left out. Each statistic in words, and each seed's heads and values: the table claims."
)
LETTERS = 62  # of a statement, in a line
CELL, THRESHOLD = 0.22, 0.4  # inches: how high a cell is, with what is around it, and how wide the last column
WIDE = 1.2  # inches of a cell that has room for an interval
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
    statements = claims.drop_duplicates("claim").set_index("claim")
    said = {claim: textwrap.wrap(statements["statement"][claim], LETTERS) for claim in rows}
    places = dict(zip(rows, np.cumsum([LINE * len(said[claim]) + CELL for claim in rows]) - CELL / 2, strict=True))
    height = places[rows[-1]] + CELL / 2
    wide = (WIDTH - THRESHOLD) / len(columns) >= WIDE
    caption = CAPTION.format(confidence=confidence_of(claims), ends=" and its interval" * wide)
    figure, drawn, keys = keyed(TITLE, caption, height + 0.35, -(-len(VERDICTS) // 2))
    axes = drawn.subplots()
    for cell in claims.to_dict("records"):
        column, y = columns.index(cell["experiment"]), places[cell["claim"]]
        colour, mark = VERDICTS[cell["verdict"]]
        axes.add_patch(Rectangle((column, y - 0.4 * CELL), 1, 0.7 * CELL, facecolor=colour, edgecolor="white"))
        axes.text(column + 0.5, y, f"{mark} {_value(cell, wide)}", ha="center", va="center")
    right = len(columns) * (1 + 0.04)
    for claim, y in places.items():
        axes.text(0, y - CELL / 2, "\n".join(said[claim]), va="bottom")
        axes.text(right, y, f"{statements['threshold'][claim]:g}", va="center")
    axes.set_xticks(np.arange(len(columns)) + 0.5, [column.replace("_", "\n") for column in columns], fontweight="bold")
    axes.xaxis.tick_top()
    axes.text(right, -0.04, "least", va="bottom", fontweight="bold")
    axes.set(xlim=(0, len(columns) * WIDTH / (WIDTH - THRESHOLD)), ylim=(height, 0), yticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    patches = [Patch(facecolor=colour, label=f"{mark}  {verdict}") for verdict, (colour, mark) in VERDICTS.items()]
    keys.legend(handles=patches, loc="upper left", ncols=2)
    return figure


def _value(cell: Mapping, wide: bool) -> str:
    if pd.isna(cell["value"]):
        return ""
    if not wide:
        return f"{cell['value']:.2g}"
    return f"{cell['value']:.2g} " + (f"[{cell['lo']:.2g}, {cell['hi']:.2g}]" if pd.notna(cell["lo"]) else "one seed")
