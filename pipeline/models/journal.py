"""What a training run leaves behind besides its last weights: earlier ones, and losses."""

from collections.abc import Callable, Collection

from torch import Tensor

from pipeline.models.attention_only import Network
from pipeline.models.training import Training


class Journal:
    """Weights and losses at chosen steps.

    Attributes:
        checkpoints: parameters by `<step>/<parameter>`.
        curve: a row a loss: step, tokens, split, loss, learning_rate.
    """

    def __init__(
        self,
        keep: Collection[int],
        measure: Collection[int],
        losses: Callable[[Network], dict[str, float]],
        tokens_per_step: int,
    ) -> None:
        """Choose the steps after which to keep weights and to measure `losses` (by split, nats per token)."""
        self.keep, self.measure, self.losses = frozenset(keep), frozenset(measure), losses
        self.tokens_per_step = tokens_per_step
        self.checkpoints: dict[str, Tensor] = {}
        self.curve: list[dict] = []

    def note(self, training: Training, batch_loss: float | None = None) -> None:
        """Write down what was chosen for the step just finished; `batch_loss` is its batch's, if there was one."""
        step = training.step
        if step in self.keep:
            for name, parameter in training.model.state_dict().items():
                self.checkpoints[f"{step}/{name}"] = parameter.cpu().clone()
        if step in self.measure:
            train = {} if batch_loss is None else {"train": batch_loss}
            now: dict[str, float] = {"step": step, "tokens": step * self.tokens_per_step}
            now["learning_rate"] = training.optimisation.learning_rate_after(step)
            for split, loss in (train | self.losses(training.model)).items():
                self.curve.append(now | {"split": split, "loss": loss})


def log_spaced(first: int, last: int, count: int) -> list[int]:
    """At most `count` different steps: 0, then from `first` to `last`, evenly spaced in the logarithm."""
    if first >= last or count < 3:
        return sorted({0, last})
    ratio = last / first
    return sorted({0, *(round(first * ratio ** (place / (count - 2))) for place in range(count - 1))})
