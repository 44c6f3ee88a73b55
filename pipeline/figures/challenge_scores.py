"""Do the heads that seem to match prefixes do so whatever the distance, the length, the tokens?"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, GREY, LIGHT, ORANGE, RED, SMALL, confidence_of, keyed, sentence

TITLE = "Is it induction, or a shortcut?"
CAPTION = (
    "Random tokens made to mislead. Left: attention to what followed a token's earlier occurrences (induction mass), "
    "two best heads of each seed by their worst period; bars: {confidence} over sequences; dashes: even attention. "
    "Right: loss of predicting tokens that a repeat foretells, and of all others; dashes: even guessing. Two "
    "continuations: attention to each of two, told apart by recency alone, or by the token before. Unseen: training "
    "never held them."
)
PANELS = {
    "period": ("a block, repeated", "its tokens"),
    "gap": ("with random gaps", "the longest, tokens"),
    "length": ("one copy", "sequence, tokens"),
    "no_begin": ("no [BEGIN]", "block, tokens"),
    "frequency": ("rare tokens, common ones", "in training"),
    "ambiguous": ("two continuations", "tokens that tell them apart"),
}
STRATA = {0: "unseen", 1: "rare", 2: "mid", 3: "common"}
RIVALS = {"recent": "later", "earlier": "earlier", "same_context": "same", "other_context": "other\ncontext"}
BEST = 2  # heads of each seed
SEEDS = 3  # shown; more would hide each other
COLOURS = (BLUE, ORANGE, RED)
MARKERS = ("o", "^")


@drawn_from("challenge_scores")
def challenge_scores(challenge_scores: pd.DataFrame) -> Figure:
    """Draw what the best heads attend to, and what the model loses, on every challenge.

    Args:
        challenge_scores: CHALLENGE_SCORES of one experiment.
    """
    if challenge_scores.empty:
        return sentence(TITLE, "No model of this experiment could be put to these sequences.")
    met = [challenge for challenge in PANELS if (challenge_scores["challenge"] == challenge).any()]
    best = shown_heads(challenge_scores)
    caption = CAPTION.format(confidence=confidence_of(challenge_scores))
    figure, drawn, keys = keyed(TITLE, caption, 0.95 * len(met) + 0.2, 2 + len(best) // 2)
    left, right = drawn.subplots(len(met), 2, squeeze=False, sharey="col").T
    for beside, losses, challenge in zip(left, right, met, strict=True):
        rows = challenge_scores[challenge_scores["challenge"] == challenge]
        ticks = _ticks(challenge_scores, challenge)
        _attention(beside, rows, best, ticks)
        _losses(losses, rows, ticks)
        title, unit = PANELS[challenge]
        beside.set(title=title, ylim=(0, 1.03))
        losses.set_title(unit)
    losses = challenge_scores[challenge_scores["metric"] == "loss"]
    right[0].set(ylim=(0, 1.05 * losses[["value", "chance"]].max().max()))
    drawn.supylabel("attention (probability); at the right: loss (nats per token)", fontsize=SMALL)
    keys.legend(*_keys(left[0], right[0]), loc="upper left", ncols=2)
    return figure


def shown_heads(challenge_scores: pd.DataFrame) -> list[tuple[int, int, int]]:
    """Return the (seed, layer, head) that are shown: of each seed the few with the most mass on their worst level."""
    rows = _mass(challenge_scores[challenge_scores["challenge"] == "period"])
    worst = rows.groupby(["seed", "layer", "head"])["value"].min().sort_values(ascending=False, kind="stable")
    chosen = worst.groupby("seed").head(BEST).index
    seeds = sorted(set(chosen.get_level_values("seed")))[:SEEDS]
    shown = [(int(seed), int(layer), int(head)) for seed, layer, head in chosen if seed in seeds]
    return sorted(shown, key=lambda head: head[0])  # of a seed, the best stays first


def _mass(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["metric"] == "induction") & (rows["definition"] == "mass")]


def _ticks(challenge_scores: pd.DataFrame, challenge: str) -> dict:
    """Return what stands along an axis, and its label: levels or, of ambiguous tokens, continuations."""
    if challenge == "ambiguous":
        return RIVALS
    levels = sorted(challenge_scores.loc[challenge_scores["challenge"] == challenge, "level"].unique())
    return {level: STRATA[level] if challenge == "frequency" else f"{level:d}" for level in levels}


def _attention(axes: Axes, rows: pd.DataFrame, best: list[tuple[int, int, int]], ticks: dict) -> None:
    ambiguous = ticks is RIVALS
    rows = rows[(rows["metric"] == "induction") & rows["definition"].isin(list(RIVALS) if ambiguous else ["mass"])]
    places = {tick: place for place, tick in enumerate(ticks)}
    rows = rows.assign(place=rows["definition" if ambiguous else "level"].map(places)).sort_values("place")
    seeds = list(dict.fromkeys(seed for seed, _, _ in best))
    for number, head in enumerate(best):
        mine = rows[(rows["seed"] == head[0]) & (rows["layer"] == head[1]) & (rows["head"] == head[2])]
        # Side by side, so that equal values stay visible.
        x = mine["place"] + 0.09 * (number - (len(best) - 1) / 2)
        errors = [(mine["value"] - mine["lo"]).clip(lower=0), (mine["hi"] - mine["value"]).clip(lower=0)]
        rank = [other for other in best if other[0] == head[0]].index(head)
        axes.errorbar(
            x,
            mine["value"],
            errors,
            fmt=MARKERS[rank],
            linestyle="" if ambiguous else "-",
            color=COLOURS[seeds.index(head[0])],
            markersize=2.5,
            linewidth=0.7,
            label=f"seed {head[0]}: {head[1]}.{head[2]}",
        )
    _chance(axes, rows)
    axes.set_xticks(range(len(ticks)), list(ticks.values()))
    axes.set_xlim(-0.6, len(ticks) - 0.4)


def _losses(axes: Axes, rows: pd.DataFrame, ticks: dict) -> None:
    rows = rows[rows["metric"] == "loss"]
    levels = {level: place for place, level in enumerate(sorted(rows["level"].unique()))}
    rows = rows.assign(place=rows["level"].map(levels))
    for definition, colour, marker in (("repeated", BLACK, "o"), ("novel", GREY, "s")):
        mine = rows[rows["definition"] == definition]
        axes.plot(
            mine["place"], mine["value"], marker, color=colour, markersize=3, alpha=0.8, label=f"{definition} tokens"
        )
    _chance(axes, rows)
    labels = [f"{level:d}" for level in levels] if ticks is RIVALS else list(ticks.values())
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _chance(axes: Axes, rows: pd.DataFrame) -> None:
    chance = rows.groupby("place")["chance"].mean()
    axes.hlines(
        chance, chance.index - 0.3, chance.index + 0.3, color=GREY, linestyle=(0, (2, 1)), linewidth=1, label="chance"
    )
    axes.grid(axis="y", color=LIGHT, linewidth=0.4)


def _keys(*panels: Axes) -> tuple[list, list[str]]:
    """Return each label once."""
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    return list(handles.values()), list(handles)
