"""Which gate stops which wrong reading of a model."""

import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room
from pipeline.figures.style import LINE, new, sentence

TITLE = "{caught} of {injected} injected bugs are caught, and {stopped} of {clean} clean models are stopped"
NOTHING = "Injected bugs"
CAPTION = (
    "One bug at a time, in our reading of tiny random models of every family or in what is computed of them, by the "
    "gate that must be the first to fail. Numbers: share of a family's models and bugs in which it is; blank: none can "
    "have such a bug. No bug: the models as they are, share in which no gate fails. Each bug: injected_bugs."
)
CLEAN = "none"
NO_GATE = "~"  # last in order


@drawn_from("injected_bugs")
def injected_bugs(injected_bugs: pd.DataFrame) -> Figure:
    """Draw gates as rows and families as columns.

    Args:
        injected_bugs: INJECTED_BUGS.
    """
    if injected_bugs.empty:
        return sentence(NOTHING, "No bug was injected.")
    rows = injected_bugs.assign(gate=injected_bugs["expected_gate"].fillna(NO_GATE))
    clean = rows["bug"] == CLEAN
    title = TITLE.format(
        caught=int(rows.loc[~clean, "passed"].sum()),
        injected=int((~clean).sum()),
        stopped=int((~rows.loc[clean, "passed"]).sum()),
        clean=int(clean.sum()),
    )
    gates = rows.groupby("gate")["bug"].nunique()
    families = list(rows["family"].unique())
    caught = pivot(rows, "gate", "family", "passed", list(gates.index), families)
    labels = [
        "no bug" if gate == NO_GATE else f"{gate}: {count} bug{'s' * (count > 1)}" for gate, count in gates.items()
    ]
    figure = new(title, CAPTION, 0.6 + 1.2 * LINE * len(gates))
    size = room(labels), 1.2 * LINE * len(gates)
    heat_map(figure.subplots(), caught, labels, families, "RdYlGn", Normalize(0, 1), size, "z.0%")
    return figure
