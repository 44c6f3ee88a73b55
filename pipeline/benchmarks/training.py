"""Steps of training, against the products that they cannot do without and against the usual loop."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.training import Optimisation, Training, chosen_dtype
from pipeline.settings.benchmark import TimedTraining

OPTIMISATION = Optimisation(10**9, 1e-3, 0, 0.3, 0.9, 0.98, 1e-8, 0.0)  # no time depends on it


def our_steps(sizes: TimedTraining, generator: Generator) -> tuple[str, Callable[[], None]]:
    """Return the format of the passes, and some more steps of a training that never ends."""
    model = AttentionOnly(
        AttentionOnlyConfig.from_dict(sizes.model_dump() | {"positions": "queries_and_keys", "tied": False})
    )
    model.initialise(1.0, 1.0, 0.3, generator)
    dtype = chosen_dtype("auto", torch.device("cpu"))
    steps = Training(model, lambda _: tokens_of(sizes, generator), OPTIMISATION, generator, dtype).steps()
    return str(dtype).removeprefix("torch."), lambda: _take(steps, sizes.steps)


def bare_products(sizes: TimedTraining, dtype: torch.dtype, generator: Generator) -> Callable[[], None]:
    """Return the matrix products of as many steps, forward and backward, of operands that are there, and no more."""
    rows, width = sizes.batch * (sizes.n_ctx - 1), sizes.d_model
    head = sizes.batch * sizes.n_heads, sizes.n_ctx - 1, width // sizes.n_heads
    projections = [((1, rows, width), (1, width, width))] * 4 * sizes.n_layers
    attention = [(head, (head[0], head[2], head[1])), ((head[0], head[1], head[1]), head)] * sizes.n_layers
    forward = [*projections, *attention, ((1, rows, width), (1, width, sizes.d_vocab))]

    def operand(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    pairs = [(operand(left), operand(right)) for left, right in forward]
    products = [product for left, right in pairs for product in _with_gradients(left, right)]
    outputs = [left @ right for left, right in products]

    def multiply() -> None:
        for _ in range(sizes.steps):
            for (left, right), output in zip(products, outputs, strict=True):
                torch.bmm(left, right, out=output)

    return multiply


def usual_loop(sizes: TimedTraining, generator: Generator) -> Callable[[], None]:
    """Return as many steps of a GPT-2 of the transformers library, feed-forward parts and all, in float32."""
    from transformers import GPT2Config, GPT2LMHeadModel  # takes seconds

    shape = {"n_layer": sizes.n_layers, "n_head": sizes.n_heads, "n_embd": sizes.d_model, "n_positions": sizes.n_ctx}
    config = GPT2Config.from_dict(
        shape | {"vocab_size": sizes.d_vocab, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    )
    model = GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)

    def steps() -> None:
        for _ in range(sizes.steps):
            tokens = tokens_of(sizes, generator)
            loss = model(tokens, labels=tokens).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return steps


def tokens_of(sizes: TimedTraining, generator: Generator) -> Tensor:
    """Return a batch of random ids, [sequence, position]."""
    return torch.randint(sizes.d_vocab, (sizes.batch, sizes.n_ctx), generator=generator)


def _take(steps: Iterator, count: int) -> None:
    for _ in range(count):
        next(steps)


def _with_gradients(left: Tensor, right: Tensor) -> list[tuple[Tensor, Tensor]]:
    """A product of two factors, and the two by which its gradient reaches them."""
    gradient = left @ right
    return [(left, right), (gradient, right.mT), (left.mT, gradient)]
