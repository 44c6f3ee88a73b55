"""The optimisation loop: a generator of steps, and a state from which a killed run goes on exactly."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from pipeline.models.attention_only import Network
from pipeline.models.output_losses import OutputLosses
from pipeline.models.sequences import FIRST_COPY, SECOND_COPY


@dataclass(frozen=True)
class Optimisation:
    """How the network is trained: AdamW; the learning rate rises, stays, then falls to nothing, in straight lines."""

    steps: int
    learning_rate: float  # at its highest
    warmup_steps: int  # of the rise
    decay_share: float  # share of all steps that are the fall, the last ones
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float

    @classmethod
    def from_dict(cls, values: dict) -> "Optimisation":
        """Pick it from settings, which may say more."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def learning_rate_after(self, step: int) -> float:
        """Learning rate of the step that follows `step` finished ones; 0 after the last."""
        rising = (step + 1) / max(1, self.warmup_steps)
        falling = (self.steps - step) / (self.decay_share * max(1, self.steps))
        return self.learning_rate * min(1.0, rising, falling)


class Training:
    """A network on its way: parameters, optimiser, and the generator its batches come from."""

    def __init__(
        self,
        model: Network,
        batch: Callable[[Generator], Tensor],
        optimisation: Optimisation,
        generator: Generator,
        dtype: torch.dtype,
    ) -> None:
        """Start at step 0.

        Args:
            model: the network, where it is to be trained; changed in place.
            batch: draws token ids, [batch, position], from a generator.
            optimisation: how to train.
            generator: decides the batches.
            dtype: number format of forward and backward passes; weights and moments are float32.
        """
        self.model, self.batch, self.optimisation = model, batch, optimisation
        self.generator, self.dtype = generator, dtype
        self.step = 0
        self._parameters = dict(model.named_parameters())
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(),
            betas=(optimisation.beta1, optimisation.beta2),
            eps=optimisation.epsilon,
            weight_decay=optimisation.weight_decay,
            fused=True,
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def steps(self) -> Iterator[tuple[int, float]]:
        """Train to the last step.

        Yields:
            After each step: steps finished, and the loss of that step's batch before its update (nats per
            token).

        Raises:
            ValueError: the loss is not finite.
        """
        while self.step < self.optimisation.steps:
            for group in self._optimiser.param_groups:
                group["lr"] = self.optimisation.learning_rate_after(self.step)
            tokens = self.batch(self.generator).to(self.device)
            loss = OutputLosses.apply(*self.model.unembedding_inputs(tokens, self.dtype)).mean()
            value = loss.item()
            if not math.isfinite(value):
                raise ValueError(f"training: loss {value} after {self.step} steps; lower train.learning_rate")
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            self.step += 1
            yield self.step, value

    def state(self) -> dict[str, Tensor]:
        """All that decides the rest of the run: step, parameters, both moments, the generator's state."""
        moments = self._optimiser.state
        state = {"step": torch.tensor(self.step), "generator": self.generator.get_state()}
        for name, parameter in self._parameters.items():
            state[f"parameter.{name}"] = parameter.detach().cpu().clone()
            if self.step:
                state[f"exp_avg.{name}"] = moments[parameter]["exp_avg"].cpu().clone()
                state[f"exp_avg_sq.{name}"] = moments[parameter]["exp_avg_sq"].cpu().clone()
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`: what follows is, to the last bit, what would have followed then."""
        self.step = int(state["step"])
        self.generator.set_state(state["generator"])
        for name, parameter in self._parameters.items():
            parameter.data.copy_(state[f"parameter.{name}"])
            if self.step:
                self._optimiser.state[parameter] = {
                    "step": torch.tensor(float(self.step), device=parameter.device),
                    "exp_avg": state[f"exp_avg.{name}"].to(parameter.device),
                    "exp_avg_sq": state[f"exp_avg_sq.{name}"].to(parameter.device),
                }


@torch.no_grad()
def mean_losses(
    model: Network,
    heldout: Int[Tensor, "batch position"],
    copied: Int[Tensor, "batch position"],
    classes: Int[Tensor, "batch position"],
) -> dict[str, float]:
    """Return the loss on fixed sequences never trained on, nats per token, computed in float32.

    Args:
        model: the network.
        heldout: ids of text as it is.
        copied: ids of text with copied segments.
        classes: token classes of `copied`.

    Returns:
        Mean loss by split: heldout (all of the first), first_copy and second_copy (of the second).
    """
    by_token = model.losses(copied).double()
    return {
        "heldout": model.losses(heldout).double().mean().item(),
        "first_copy": by_token[classes[:, 1:] == FIRST_COPY].mean().item(),
        "second_copy": by_token[classes[:, 1:] == SECOND_COPY].mean().item(),
    }


def chosen_device(name: str) -> torch.device:
    """The device of this name; `auto` is CUDA where there is one.

    Raises:
        ValueError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("train.device=cuda, but torch finds no CUDA device; set train.device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def chosen_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of this name; `auto` is bfloat16 where the hardware multiplies it, else float32."""
    if name == "auto":
        on_cpu = torch.cpu.get_capabilities().get("avx512_bf16", False)
        name = "bfloat16" if (torch.cuda.is_bf16_supported() if device.type == "cuda" else on_cpu) else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]
