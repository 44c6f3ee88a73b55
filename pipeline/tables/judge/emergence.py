"""Tables of when the parts of a circuit appeared in training."""

from pipeline.claims.emergence import EVENTS
from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE

EVENT = (
    "previous_token: the best previous-token head attends to the token before; k_composition: it feeds the best "
    "induction head's keys; prefix_matching: that head attends to what followed its token before; copying: its OV "
    "circuit copies; loss_drop: second copies in text are predicted better than first ones"
)
EXPERIMENT = Column("experiment", "string", "name", "the experiment")
EMERGENCE = Table(
    name="emergence",
    row="one event of training, in one run, or over the seeds of an experiment",
    key=("experiment", "seed", "event"),
    columns=(
        EXPERIMENT,
        Column("seed", "int64", "none", "the run's seed; null for the experiment, over seeds", 0, nullable=True),
        Column("event", "string", "name", EVENT, options=EVENTS),
        Column("layer", "int64", "index", "layer of the head it is seen in, by the last checkpoint", 0, nullable=True),
        Column("head", "int64", "index", "that head; null for the model, and over seeds", 0, nullable=True),
        Column(
            "step",
            "float64",
            "optimiser steps",
            "middle of the change from one level to another; over seeds, the "
            "geometric mean; null where the rise is smaller than the configuration asks for",
            0,
            nullable=True,
        ),
        Column(
            "lo",
            "float64",
            "optimiser steps",
            "lower end of its interval: of one run, by residuals, and at least to the nearest checkpoint; over "
            "seeds, Student's t in the logarithm and what the checkpoints leave open in all runs alike, null for fewer "
            "than two",
            0,
            nullable=True,
        ),
        Column("hi", "float64", "optimiser steps", "upper end of the same interval", 0, nullable=True),
        Column(
            "checkpoint_before",
            "float64",
            "optimiser steps",
            "the last checkpoint before the step; null over seeds, and without one",
            0,
            nullable=True,
        ),
        Column("checkpoint_after", "float64", "optimiser steps", "the first checkpoint after it", 0, nullable=True),
        CONFIDENCE,
        Column(
            "before_level",
            "float64",
            "by event",
            "level before: probability, times chance (k_composition), score, or nats (loss_drop)",
            nullable=True,
        ),
        Column("after_level", "float64", "by event", "level after", nullable=True),
        Column(
            "rank",
            "float64",
            "rank",
            "1, and one for each event that surely came before; over seeds, mean",
            1,
            None,
            True,
        ),
        Column("n_seeds", "int64", "count", "runs in which it happened", 0),
    ),
)
EMERGENCE_ORDER = Table(
    name="emergence_order",
    row="two events and which came first, over the seeds of an experiment",
    key=("experiment", "first", "second"),
    columns=(
        EXPERIMENT,
        Column("first", "string", "name", "an event", options=EVENTS),
        Column("second", "string", "name", "another", options=EVENTS),
        Column("n_seeds", "int64", "count", "runs in which both happened", 1),
        Column("before", "int64", "count", "of these, runs in which the first surely came first", 0),
        Column("after", "int64", "count", "of these, runs in which the second did; in the others intervals overlap", 0),
        Column("share", "float64", "fraction", "before / (before + after)", 0, 1, nullable=True),
        Column("lo", "float64", "fraction", "lower end of its interval (Clopper and Pearson)", 0, 1, nullable=True),
        Column("hi", "float64", "fraction", "upper end of the same interval", 0, 1, nullable=True),
        Column("factor", "float64", "times", "step of the second over that of the first, geometric mean", 0),
        Column(
            "factor_lo",
            "float64",
            "times",
            "lower end of its interval, as of a step over seeds; null for one run",
            0,
            nullable=True,
        ),
        Column("factor_hi", "float64", "times", "upper end of the same interval", 0, nullable=True),
        CONFIDENCE,
    ),
)
