"""Which gate stops which wrong reading of a model."""

import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.style import new, sentence

TITLE = "{caught} of {injected} injected bugs are caught, and {stopped} of {clean} clean models are stopped"
NOTHING = "Injected bugs"
CAPTION = (
    "One bug at a time, in our reading of tiny random models of every family or in what is computed of them. Before "
    "the colon: the gate that must be the first to fail. Numbers: share of the family's models in which it is; blank: "
    "none can have the bug. Of none, the models as they are: share in which no gate fails."
)
CLEAN = "none"


@drawn_from("injected_bugs")
def injected_bugs(injected_bugs: pd.DataFrame) -> Figure:
    """Draw bugs as rows and families as columns, by the gate that must catch them.

    Args:
        injected_bugs: INJECTED_BUGS.
    """
    if injected_bugs.empty:
        return sentence(NOTHING, "No bug was injected.")
    rows = injected_bugs.assign(gate=injected_bugs["expected_gate"].fillna("no gate"))
    clean = rows["bug"] == CLEAN
    title = TITLE.format(
        caught=int(rows.loc[~clean, "passed"].sum()),
        injected=int((~clean).sum()),
        stopped=int((~rows.loc[clean, "passed"]).sum()),
        clean=int(clean.sum()),
    )
    bugs = rows.drop_duplicates("bug").sort_values(["gate", "bug"], kind="stable")
    families = list(rows["family"].unique())
    caught = pivot(rows, "bug", "family", "passed", list(bugs["bug"]), families)
    labels = [f"{gate}: {bug}".replace("_", " ") for gate, bug in bugs[["gate", "bug"]].to_numpy()]
    figure = new(title, CAPTION, 7.5, 1.6 + 0.17 * len(bugs))
    heat_map(figure.subplots(), caught, labels, families, "RdYlGn", Normalize(0, 1), "z.0%")
    return figure
