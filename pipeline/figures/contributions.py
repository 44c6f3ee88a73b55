"""What every head and feed-forward part adds to the logit of the token that comes."""

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from pipeline.figures.ablations import CLASSES, SETS, on_copied_text
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room
from pipeline.figures.heads import first_seed
from pipeline.figures.style import LINE, SCORES, new, sentence

TITLE = "What each part adds to the logit of the correct token"
CAPTION = (
    "First seed, on {set}, logits, less the mean over the vocabulary; what the last norm divides by is held. Columns: "
    "the heads of a layer, and its feed-forward part (ff) where it has one. The rest of the logit is {rest}."
)
FEED_FORWARD = "ff"


@drawn_from("contributions")
def contributions(contributions: pd.DataFrame) -> Figure:
    """Draw contributions as [layer, head or feed-forward part], a panel a class of tokens.

    Args:
        contributions: CONTRIBUTIONS of one experiment.
    """
    rows = on_copied_text(first_seed(contributions))
    if rows.empty:
        return sentence(TITLE, "The logits of this model are no sum over parts.")
    layered = rows.dropna(subset="layer")
    layered = layered.assign(part=layered["head"].map(str, na_action="ignore").fillna(FEED_FORWARD))
    layers = sorted(layered["layer"].unique())
    heads = [str(head) for head in sorted(rows["head"].dropna().unique())]
    columns = [*heads, *[FEED_FORWARD] * (FEED_FORWARD in set(layered["part"]))]
    classes = [each for each in CLASSES if each in set(rows["token_class"])]
    caption = CAPTION.format(set=SETS[rows["eval_set"].iloc[0]], rest=_rest(rows, classes))
    labels = [str(layer) for layer in layers[::-1]]
    size = room(labels), LINE * len(layers)
    figure = new(TITLE, caption, len(classes) * (size[1] + 0.25) + 0.75)
    panels = figure.subplots(len(classes), 1, squeeze=False, sharex=True)[:, 0]
    shown = layered[layered["token_class"].isin(classes)]
    most = max(shown["contribution"].abs().max(), 1e-9)
    for axes, token_class in zip(panels, classes, strict=True):
        of_class = shown[shown["token_class"] == token_class]
        matrix = pivot(of_class, "layer", "part", "contribution", layers, columns)[::-1]
        image = heat_map(axes, matrix, labels, columns, SCORES, TwoSlopeNorm(0, -most, most), size, "z.1f")
        axes.set(title=CLASSES[token_class], ylabel="layer")
    panels[-1].set_xlabel("head")
    figure.colorbar(image, ax=panels, label="logits", location="bottom", aspect=40)
    return figure


def _rest(rows: pd.DataFrame, classes: list[str]) -> str:
    """Say what embeddings and constants add, on average over the classes shown."""
    rest = rows[rows["layer"].isna() & rows["token_class"].isin(classes)]
    means = rest.groupby("kind")["contribution"].agg(["min", "max"])
    ends = {kind: np.unique(np.round(row, 1)) for kind, row in zip(means.index, means.to_numpy(), strict=True)}
    return ", ".join(f"{kind} {' to '.join(f'{end:z.1f}' for end in between)}" for kind, between in ends.items())
