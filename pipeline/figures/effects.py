"""What each experiment changed: differences from the study's first, with their intervals."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLUE, GREY, LIGHT, confidence_of, new, sentence

TITLE = "What each experiment changed"
CAPTION = (
    "Difference from the study's first experiment, mean over seeds, with its {confidence} interval (Student's t; error "
    "by bootstrap over seeds and sentences), cut off where it leaves the panel. Filled: q < {significance:g} "
    "(Benjamini-Hochberg over all of the experiment's measures, which titles count); hollow: not, or a single seed. "
    "Heads are each run's best previous-token head and best induction head."
)
SCORES = {  # role, metric, definition, eval_set
    "previous_token previous_token mean text": "attention to the token before",
    "induction induction mass repeated_tokens": "prefix matching",
    "induction copying eigenvalue weights": "copying: eigenvalues",
    "induction copying top1 weights": "copying: top 1",
    "pair K_composition frobenius weights": "K-composition of the pair",
    "pair K_circuit top1_keys weights": "K circuit: top 1",
}
LOSSES = {
    "model loss other text": "loss, held-out text",
    "model loss first_copy repeated_text": "loss, first copies",
    "model loss second_copy repeated_text": "loss, second copies",
    "model second_copy_gain first_minus_second repeated_text": "gain on second copies",
    "model in_context_learning early_minus_late text": "gain from context, text",
}
PANELS = ((SCORES, "difference in score"), (LOSSES, "difference (nats per token)"))


@drawn_from("effects")
def effects(effects: pd.DataFrame) -> Figure:
    """Draw the key measures, a column an experiment.

    Args:
        effects: EFFECTS of a study.
    """
    if effects.empty:
        return sentence(TITLE, "One experiment alone has nothing to be compared with.")
    experiments = list(dict.fromkeys(effects["experiment"]))
    against = effects["against"].iloc[0].replace("_", " ")
    caption = CAPTION.format(confidence=confidence_of(effects), significance=effects["significance"].iloc[0])
    figure = new(f"{TITLE}, against {against}", caption, 2.2 + 2.3 * max(len(experiments), 2), 5)
    heights = [len(measures) for measures, _ in PANELS]
    grid = figure.subplots(2, len(experiments), sharex="row", sharey="row", squeeze=False, height_ratios=heights)
    names = effects[["role", "metric", "definition", "eval_set"]].astype(object).fillna("").agg(" ".join, axis=1)
    names = names.str.strip()
    for line, (measures, unit) in zip(grid, PANELS, strict=True):
        places = names.map({name: place for place, name in enumerate(measures)})
        shown = effects.assign(place=places).dropna(subset="place")
        for axes, experiment in zip(line, experiments, strict=True):
            _panel(axes, shown[shown["experiment"] == experiment])
            axes.set_xlabel(unit)
        line[0].set_yticks(range(len(measures)), measures.values())
        line[0].set_ylim(len(measures) - 0.5, -0.5)
        # Intervals of few seeds may be far wider than the differences, and would hide them.
        reach = 1.3 * shown["difference"].abs().max()
        if reach > 0:
            line[0].set_xlim(-reach, reach)
    for axes, experiment in zip(grid[0], experiments, strict=True):
        rows = effects[effects["experiment"] == experiment]
        n_different = int((rows["q"] < rows["significance"]).sum())
        differ = f"{n_different} of {len(rows)} measures differ" if rows["q"].notna().any() else "one seed, no test"
        axes.set_title(f"{experiment.replace('_', ' ')}\n{differ}")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    axes.grid(axis="y", color=LIGHT, linewidth=0.4)
    for row in rows.to_dict("records"):
        axes.plot([row["lo"], row["hi"]], [row["place"]] * 2, color=BLUE, linewidth=1)
        face = BLUE if row["q"] < row["significance"] else "white"
        axes.plot(row["difference"], row["place"], "o", color=BLUE, markerfacecolor=face, markersize=5)
