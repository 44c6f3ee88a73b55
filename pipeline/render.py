"""Draw the figures whose files are asked for.

What is drawn of an experiment, from its rows alone, is figures/<experiment>/<figure>; over all experiments,
figures/<figure>. By hand, every figure as PNG.
"""

import importlib
from pathlib import Path

import pandas as pd

from pipeline.figures.drawing import Drawing
from pipeline.figures.style import add_caption, save
from pipeline.plumbing.artefacts import Paths, atomic, read, record
from pipeline.plumbing.intact import RECORD
from pipeline.plumbing.stage import main
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.settings.render import RenderSettings
from pipeline.tables import summarise
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE

TABLES = {
    table.name: table
    for table in (
        *(table.with_run() for tables in OF_A_RUN.values() for table in tables),
        *OF_JUDGE,
    )
}


def run(settings: RenderSettings, inputs: Paths, outputs: Paths) -> None:
    """Draw each figure once, and write it in every format asked for."""
    if not outputs.files:
        ask_for_everything(inputs, outputs)
    questions, files = dict(settings.questions), [path for path in outputs.files if not path.name.endswith(RECORD)]
    tables: dict[str, pd.DataFrame] = {}
    for experiment, name in dict.fromkeys(map(subject_of, files)):
        drawing = drawing_of(experiment, name)
        tables |= {table: read(TABLES[table], inputs) for table in drawing.tables if table not in tables}
        rows = (rows_of(tables[table], experiment, list(questions)) for table in drawing.tables)
        figure = drawing(*rows, *(getattr(settings, setting) for setting in drawing.settings))
        if experiment is not None:
            add_caption(figure, f"Experiment {experiment}. {questions[experiment]}")
        for path in files:
            if subject_of(path) == (experiment, name):
                with atomic(path) as temporary:
                    save(figure, temporary, path.suffix[1:], settings.dpi)
    for folder in {path.parent for path in files}:
        record([path for path in files if path.parent == folder], outputs)


def ask_for_everything(inputs: Paths, outputs: Paths) -> None:
    """Name every figure there is as a PNG file: what a trial by hand draws."""
    for experiment in read(summarise.RUNS, inputs)["experiment"].unique():
        for name in OF_AN_EXPERIMENT:
            outputs.file(f"figures/{experiment}/{name}.png")
    for name in OF_A_STUDY:
        outputs.file(f"figures/{name}.png")


def subject_of(path: Path) -> tuple[str | None, str]:
    """Return the experiment a file shows, None for all of them, and the figure's name."""
    return (None if path.parent.name == "figures" else path.parent.name), path.stem


def drawing_of(experiment: str | None, name: str) -> Drawing:
    """Return the figure of a name: pipeline.figures.<name>.<name>.

    Raises:
        ValueError: there is no figure of this name, of a study or of an experiment.
    """
    choices = OF_AN_EXPERIMENT if experiment else OF_A_STUDY
    if name not in choices:
        of = f"of an experiment ({experiment})" if experiment else "of a study"
        raise ValueError(f"{name}: no such figure {of}; choose from {', '.join(choices)}")
    return getattr(importlib.import_module(f"pipeline.figures.{name}"), name)


def rows_of(table: pd.DataFrame, experiment: str | None, order: list[str]) -> pd.DataFrame:
    """Return an experiment's rows of a study's table, or all of them, experiments in the study's order."""
    if experiment is not None:
        return table[table["experiment"] == experiment]
    return table.sort_values("experiment", key=lambda names: names.map(order.index), kind="stable")


if __name__ == "__main__":
    main(RenderSettings, run)
