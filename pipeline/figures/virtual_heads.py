"""What two heads in a row promote, token by token."""

import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed
from pipeline.figures.style import BLACK, GREEN, GREY, LIGHT, LINE, label, new, sentence

TITLE = "What two heads in a row promote"
CAPTION = (
    "First seed, start of the demonstration sentence. At each position, the tokens whose logits the pair raises most, "
    "with the logits. Virtual: what the second head passes on of what the first one wrote, and nothing else. Mixed: "
    "the notebook's quantity, which adds what the second head reads from the embedding directly. Bold green: "
    "the token that really comes next."
)
LISTED = 3  # tokens a position
COLUMN = 0.76  # inches, one token and its logit
POSITION = 0.92  # inches, the position and its token


@drawn_from("virtual_heads", "head_pairs", "term_maps", settings=("tokens",))
def virtual_heads(
    virtual_heads: pd.DataFrame, head_pairs: pd.DataFrame, term_maps: pd.DataFrame, tokens: int
) -> Figure:
    """Draw the lists of the pair whose removal costs most, virtual above mixed.

    Args:
        virtual_heads: VIRTUAL_HEADS of one experiment.
        head_pairs: HEAD_PAIRS of the same, to choose the pair by.
        term_maps: TERM_MAPS of the same, for the sentence's tokens.
        tokens: positions shown.
    """
    lists = first_seed(virtual_heads)
    if lists.empty:
        return sentence(TITLE, "This model has no two heads in a row, or their outputs were not read.")
    writer, reader, reason = strongest_pair(lists, first_seed(head_pairs))
    lists = lists[
        (lists["src_head"] == writer) & (lists["dst_head"] == reader) & (lists["sentence"] == lists["sentence"].min())
    ]
    lists = lists[(lists["position"] < tokens) & (lists["rank"] < LISTED)]
    maps = first_seed(term_maps).drop_duplicates("query")
    words = dict(zip(maps["query"], maps["query_token"], strict=True))
    kinds = [kind for kind in ("virtual", "mixed") if kind in set(lists["kind"])]
    positions = sorted(lists["position"].unique())

    title = f"{TITLE}: {writer} then {reader}, {reason}"
    figure = new(title, CAPTION, len(kinds) * (1.05 * LINE * (len(positions) + 1) + 0.1))
    panels = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set(xlim=(0, POSITION + LISTED * COLUMN), ylim=(len(positions) - 0.4, -1.6))
        axes.set_axis_off()
        axes.text(POSITION, -1, f"{kind}: token and logit", va="center", fontweight="bold")
        axes.text(0, -1, "position", va="center", fontweight="bold")
        for row, position in enumerate(positions):
            axes.text(0.18, row, str(position), va="center", ha="right", color=GREY)
            axes.text(0.23, row, label(words.get(position, ""), 11), va="center")
            axes.axhline(row + 0.5, color=LIGHT, linewidth=0.4)
        for entry in lists[lists["kind"] == kind].to_dict("records"):
            x, row = POSITION + entry["rank"] * COLUMN, positions.index(entry["position"])
            comes_next = words.get(entry["position"] + 1) == entry["token"]
            colour, weight = (GREEN, "bold") if comes_next else (BLACK, "normal")
            axes.text(x, row, label(entry["token"], 7), va="center", color=colour, fontweight=weight)
            axes.text(x + COLUMN - 0.06, row, f"{entry['logit']:.1f}", va="center", ha="right", color=GREY)
    return figure


def strongest_pair(lists: pd.DataFrame, head_pairs: pd.DataFrame) -> tuple[str, str, str]:
    """Return writer, reader and why: the listed pair whose removal adds most loss, else with the largest share."""
    pairs = head_pairs[head_pairs["metric"] == "virtual"].dropna(subset="value")
    pairs = pairs.assign(
        writer=pairs["src_layer"].astype(str) + "." + pairs["src_head"].astype(str),
        reader=pairs["dst_layer"].astype(str) + "." + pairs["dst_head"].astype(str),
    )
    pairs = pairs.merge(lists[["src_head", "dst_head"]].drop_duplicates().set_axis(["writer", "reader"], axis=1))
    for definition, words in (
        ("loss_removed", "whose removal adds {:.3f} nats, the most of all pairs"),
        ("norm_share", "whose output is {:.2f} of its layer's, the most of all pairs"),
    ):
        rows = pairs[pairs["definition"] == definition]
        if not rows.empty:
            top = rows.iloc[rows["value"].argmax()]
            return top["writer"], top["reader"], words.format(top["value"])
    first = lists.iloc[0]
    return first["src_head"], first["dst_head"], "the first listed"
