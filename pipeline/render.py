"""Draw the figures whose files are asked for.

What is drawn of an experiment, from its rows alone, is figures/<experiment>/<figure>; over all experiments,
figures/<figure>. By hand, every figure as PNG.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures.ablations import ablations
from pipeline.figures.challenge_scores import challenge_scores
from pipeline.figures.claims import claims
from pipeline.figures.comparison import comparison
from pipeline.figures.composition import composition
from pipeline.figures.effects import effects
from pipeline.figures.eigenvalues import eigenvalues
from pipeline.figures.emergence import emergence
from pipeline.figures.four_terms import four_terms
from pipeline.figures.head_roles import head_roles
from pipeline.figures.head_scores import head_scores
from pipeline.figures.loss_by_position import loss_by_position
from pipeline.figures.offset_profiles import offset_profiles
from pipeline.figures.paths import paths
from pipeline.figures.style import add_caption, save
from pipeline.figures.term_shares import term_shares
from pipeline.figures.training_curve import training_curve
from pipeline.figures.validity import validity
from pipeline.figures.virtual_heads import virtual_heads
from pipeline.figures.vocab_pairs import vocab_pairs
from pipeline.plumbing.artefacts import Paths, atomic, read
from pipeline.plumbing.stage import main
from pipeline.settings.render import RenderSettings
from pipeline.tables import summarise
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE

OF_AN_EXPERIMENT = (
    four_terms,
    term_shares,
    offset_profiles,
    head_scores,
    training_curve,
    eigenvalues,
    composition,
    virtual_heads,
    loss_by_position,
    head_roles,
    ablations,
    paths,
    validity,
    emergence,
    challenge_scores,
    vocab_pairs,
)
OF_A_STUDY = (claims, comparison, effects)
# A figure's parameters are named after the tables it is drawn from, and the settings it depends on.
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
    tables: dict[str, pd.DataFrame] = {}
    for subject in dict.fromkeys(map(subject_of, outputs.files)):
        experiment, draw = subject[0], figure_of(*subject)
        names = list(inspect.signature(draw).parameters)
        tables |= {name: read(TABLES[name], inputs) for name in names if name in TABLES and name not in tables}
        questions = dict(settings.questions)
        figure = draw(
            *(
                rows_of(tables[name], experiment, list(questions)) if name in tables else getattr(settings, name)
                for name in names
            )
        )
        if experiment is not None:
            add_caption(figure, f"Experiment {experiment}. {questions[experiment]}")
        for path in outputs.files:
            if subject_of(path) == subject:
                with atomic(path) as temporary:
                    save(figure, temporary, path.suffix[1:], settings.dpi)


def ask_for_everything(inputs: Paths, outputs: Paths) -> None:
    """Name every figure there is as a PNG file: what a trial by hand draws."""
    for experiment in read(summarise.RUNS, inputs)["experiment"].unique():
        for draw in OF_AN_EXPERIMENT:
            outputs.file(f"figures/{experiment}/{draw.__name__}.png")
    for draw in OF_A_STUDY:
        outputs.file(f"figures/{draw.__name__}.png")


def subject_of(path: Path) -> tuple[str | None, str]:
    """Return the experiment a file shows, None for all of them, and the figure's name."""
    return (None if path.parent.name == "figures" else path.parent.name), path.stem


def figure_of(experiment: str | None, name: str) -> Callable[..., Figure]:
    """Return the function that draws a figure.

    Raises:
        ValueError: there is no figure of this name, of a study or of an experiment.
    """
    choices = {draw.__name__: draw for draw in (OF_AN_EXPERIMENT if experiment else OF_A_STUDY)}
    if name not in choices:
        of = f"of an experiment ({experiment})" if experiment else "of a study"
        raise ValueError(f"{name}: no such figure {of}; choose from {', '.join(choices)}")
    return choices[name]


def rows_of(table: pd.DataFrame, experiment: str | None, order: list[str]) -> pd.DataFrame:
    """Return an experiment's rows of a study's table, or all of them, experiments in the study's order."""
    if experiment is not None:
        return table[table["experiment"] == experiment]
    return table.sort_values("experiment", key=lambda names: names.map(order.index), kind="stable")


if __name__ == "__main__":
    main(RenderSettings, run)
