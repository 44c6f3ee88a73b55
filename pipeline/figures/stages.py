"""Where the time of a study goes."""

import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLUE, GREY, LINE, new, sentence

TITLE = "Where the time of a study goes"
CAPTION = (
    "Bars: seconds of all jobs of a stage added up; the darker part is its longest job. Jobs that run at the same "
    "time count each, so the whole takes less. Beside each bar: how many jobs, their share of all seconds, the "
    "most memory that any of them had, and their CPU seconds as a multiple of the floor, which the line in the bar "
    "marks: what the matrix products alone take that the stage cannot do without."
)


@drawn_from("stages")
def stages(stages: pd.DataFrame) -> Figure:
    """Draw a bar a stage, the longest first.

    Args:
        stages: STAGES.
    """
    if stages.empty:
        return sentence(TITLE, "No job was timed.")
    rows = stages.sort_values(["seconds", "stage"], ascending=[True, False])
    figure = new(TITLE, CAPTION, 0.35 + 2.2 * LINE * len(rows))
    axes = figure.subplots()
    axes.barh(rows["stage"], rows["seconds"], color=BLUE, alpha=0.45, height=0.7)
    axes.barh(rows["stage"], rows["longest"], color=BLUE, height=0.7)
    axes.plot(rows["floor_seconds"], rows["stage"], "|", color="black", markersize=10)
    for place, row in enumerate(rows.itertuples()):
        axes.annotate(_beside(row), (row.seconds, place), (2, 0), textcoords="offset points", va="center", color=GREY)
    axes.set(xlabel="seconds, wall clock", xlim=(0, 2.2 * rows["seconds"].max()))
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)
    return figure


def _beside(row) -> str:
    jobs = f"{row.jobs} job{'s' * (row.jobs > 1)}, {row.share:.1%}"
    if pd.notna(row.peak_bytes):
        jobs += f",\n{row.peak_bytes / 2**20:,.0f} MiB"
    return jobs if pd.isna(row.floor_share) else f"{jobs}, {1 / row.floor_share:.1f} floors"
