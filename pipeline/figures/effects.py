"""What each experiment changed: differences from the study's first, with their intervals."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLUE, GREY, LIGHT, LINE, confidence_of, new, sentence

TITLE = "What each experiment changed"
CAPTION = (
    "Difference from the study's first experiment, mean over seeds, with its {confidence} interval (Student's t; error "
    "by bootstrap over seeds and sentences), cut off where it leaves the panel. Filled: q < {significance:g} "
    "(Benjamini-Hochberg over all of the experiment's measures; in brackets how many); hollow: not, or a single seed. "
    "Heads are each run's best previous-token head and best induction head."
)
SCORES = {  # role, metric, definition, eval_set
    "previous_token previous_token mean text": "attention one back",
    "induction induction mass repeated_tokens": "prefix matching",
    "induction copying eigenvalue weights": "copying: eigenvalue",
    "induction copying top1 weights": "copying: top 1",
    "pair K_composition frobenius weights": "K-composition",
    "pair K_circuit top1_keys weights": "K circuit: top 1",
}
LOSSES = {
    "model loss other text": "loss, held-out text",
    "model loss first_copy repeated_text": "loss, first copies",
    "model loss second_copy repeated_text": "loss, second copies",
    "model second_copy_gain first_minus_second repeated_text": "gain, second copies",
    "model in_context_learning early_minus_late text": "gain from context",
}
COLUMNS = 2
PANELS = ((SCORES, "difference in score"), (LOSSES, "difference (nats per token)"))


@drawn_from("effects")
def effects(effects: pd.DataFrame) -> Figure:
    """Draw the key measures, a panel each, a row an experiment.

    Args:
        effects: EFFECTS of a study.
    """
    if effects.empty:
        return sentence(TITLE, "One experiment alone has nothing to be compared with.")
    experiments = list(dict.fromkeys(effects["experiment"]))
    against = effects["against"].iloc[0].replace("_", " ")
    caption = CAPTION.format(confidence=confidence_of(effects), significance=effects["significance"].iloc[0])
    names = effects[["role", "metric", "definition", "eval_set"]].astype(object).fillna("").agg(" ".join, axis=1)
    effects = effects.assign(measure=names.str.strip(), place=effects["experiment"].map(experiments.index))
    lines = [-(-len(measures) // COLUMNS) for measures, _ in PANELS]
    figure = new(f"{TITLE}, against {against}", caption, sum(lines) * (2.2 * LINE * len(experiments) + 0.33) + 0.4)
    grid = figure.subplots(sum(lines), COLUMNS, sharey=True)
    for part, (measures, unit) in zip(np.split(grid, lines[:1]), PANELS, strict=True):
        shown = effects[effects["measure"].isin(measures)]
        # Intervals of few seeds may be far wider than the differences, and would hide them.
        reach = 1.3 * shown["difference"].abs().max()
        for axes, (measure, title) in zip(part.flat, measures.items(), strict=False):
            _panel(axes, shown[shown["measure"] == measure])
            axes.set_title(title)
            if reach > 0:
                axes.set_xlim(-reach, reach)
            axes.locator_params(axis="x", nbins=3)
        for axes in part.flat[len(measures) :]:
            axes.remove()
        part[-1, 0].set_xlabel(unit)
    grid[0, 0].set_yticks(range(len(experiments)), [_counted(effects, experiment) for experiment in experiments])
    grid[0, 0].set_ylim(len(experiments) - 0.5, -0.5)
    return figure


def _counted(effects: pd.DataFrame, experiment: str) -> str:
    """Name an experiment, and count how many of its measures differ; without a test, none does."""
    rows = effects[effects["experiment"] == experiment]
    differ = f"\n({(rows['q'] < rows['significance']).sum()} of {len(rows)})" if rows["q"].notna().any() else ""
    return experiment.replace("_", " ") + differ


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    axes.grid(axis="y", color=LIGHT, linewidth=0.4)
    for row in rows.to_dict("records"):
        axes.plot([row["lo"], row["hi"]], [row["place"]] * 2, color=BLUE, linewidth=0.9)
        face = BLUE if row["q"] < row["significance"] else "white"
        axes.plot(row["difference"], row["place"], "o", color=BLUE, markerfacecolor=face, markersize=3.5)
