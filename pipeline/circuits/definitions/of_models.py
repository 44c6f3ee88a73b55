"""Every definition of a score of the whole model: its losses, and its predictions where sequences mislead."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.definitions.definition import Definition, OfLosses, OfPredictions, Predicted, Window
from pipeline.circuits.definitions.sources import FRACTION, LOGITS, NATS, OLSSON, OURS
from pipeline.circuits.definitions.views import Predictions
from pipeline.circuits.scores.challenges import RIVALS
from pipeline.circuits.transformer.losses import in_context_learning

CLASSES = ("other", "first_copy", "second_copy", "copy_start")  # of tokens, by number


def _mean_of(number: int) -> OfLosses:
    return OfLosses(lambda losses, classes, windows: losses[classes == number].nanmean())


def _late_minus_early(
    losses: Float[Tensor, "sentence position"],
    classes: Int[Tensor, "sentence position"],
    windows: tuple[Window, Window],
) -> Float[Tensor, ""]:
    return in_context_learning(losses, *windows)


LOSSES = (
    *(
        Definition(
            metric="loss",
            definition=name,
            meaning=f"mean negative log-likelihood of tokens of the class {name}",
            source=OURS,
            unit=NATS,
            measure=_mean_of(number),
        )
        for number, name in enumerate(CLASSES)
    ),
    Definition(
        metric="in_context_learning",
        definition="late_minus_early",
        meaning="loss late in a sequence minus loss early, below 0 for a model that learns from context",
        source=OLSSON,
        unit=NATS,
        measure=OfLosses(_late_minus_early),
    ),
)


def _between_rivals(
    context: int, pick: Callable[[Predictions], tuple[Float[Tensor, "batch position"], float]]
) -> OfPredictions:
    def function(predictions: Predictions) -> Predicted | None:
        if predictions.sequences.context != context:
            return None
        values, chance = pick(predictions)
        return values, predictions.contested, chance

    return OfPredictions(function)


def _of_rivals(context: int) -> tuple[Definition, ...]:
    first, second = RIVALS[context]
    definition = f"{first}_minus_{second}"
    return (
        Definition(
            metric="logit_difference",
            definition=definition,
            meaning=f"logit of the token at the {first} target minus that of the token at the {second} one",
            source=OURS,
            unit=LOGITS,
            measure=_between_rivals(context, lambda predictions: (predictions.lead, 0.0)),
            on_challenges=True,
        ),
        Definition(
            metric="preference",
            definition=definition,
            meaning=f"how often the token at the {first} target has the larger logit",
            source=OURS,
            unit=FRACTION,
            measure=_between_rivals(context, lambda predictions: ((predictions.lead > 0).double(), 0.5)),
            on_challenges=True,
        ),
    )


PREDICTIONS = (
    Definition(
        metric="loss",
        definition="repeated",
        meaning="loss of tokens that an earlier occurrence of the token before foretells",
        source=OURS,
        unit=NATS,
        measure=OfPredictions(lambda seen: (seen.losses, seen.foretold, seen.even_loss)),
        on_challenges=True,
    ),
    Definition(
        metric="loss",
        definition="novel",
        meaning="loss of all other tokens",
        source=OURS,
        unit=NATS,
        measure=OfPredictions(lambda seen: (seen.losses, seen.novel, seen.even_loss)),
        on_challenges=True,
    ),
    Definition(
        metric="accuracy",
        definition="repeated",
        meaning="how often the likeliest token is the one that comes, of those that a repeat foretells",
        source=OURS,
        unit=FRACTION,
        measure=OfPredictions(lambda seen: (seen.right, seen.foretold, 1 / seen.d_vocab)),
        on_challenges=True,
    ),
    *_of_rivals(1),
    *_of_rivals(2),
)
