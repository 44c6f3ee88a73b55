"""Trained networks, some of whose heads are known: planted and kept, or such that their network has no room for them.

Training shapes all but embeddings and planted heads, and leaves alone what a later planted head reads: free heads
before it write elsewhere. So planted heads do to the last bit what they were wired to, among heads that use what they
do. Of free heads nothing is known, except what none of them can be: a head of the first layer sees no token but its
key's and its query's, so that it does not know what came before a key, and without positions it does not know which
key comes just before the query.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from pipeline.models.attention_only import AttentionOnly
from pipeline.models.constructed import constructed
from pipeline.models.known_heads.known import KnownModel, by_wiring, weights_of
from pipeline.models.known_heads.planted import CIRCUITS, DISTRACTORS, Plan, construction
from pipeline.models.sequences import Copies, with_copies
from pipeline.models.training import Optimisation, Training

BEGIN = 0
LACKING = {"one layer": ("induction", "queries_and_keys"), "no positions": ("previous_token", "none")}


def text(d_vocab: int, rows: int, n_ctx: int, spread: float, generator: Generator) -> Int[Tensor, "{rows} {n_ctx}"]:
    """Draw sentences in which a token says something of the next, as in text: a Markov chain's.

    Args:
        d_vocab: tokens, the first of which begins every sentence and comes nowhere else.
        rows: how many sentences.
        n_ctx: tokens in each.
        spread: standard deviation of the log-odds of next tokens; the larger, the fewer of them are likely.
        generator: decides the chain, then the sentences.
    """
    logits = spread * torch.randn((d_vocab, d_vocab), generator=generator)
    logits[:, BEGIN] = -torch.inf
    chances, tokens = logits.softmax(-1), torch.full((rows, n_ctx), BEGIN)
    for position in range(1, n_ctx):
        following = chances[tokens[:, position - 1]]
        tokens[:, position] = torch.multinomial(following, 1, generator=generator).squeeze(1)
    return tokens


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: on text, some sentences of which repeat a part of themselves."""

    sentences: Int[Tensor, "sentence position"]
    copies: Copies
    batch: int  # sentences in a step
    optimisation: Optimisation

    def draw(self, generator: Generator) -> Int[Tensor, "{self.batch} position"]:
        """Draw the sentences of a step."""
        chosen = torch.randint(len(self.sentences), (self.batch,), generator=generator)
        return with_copies(self.sentences[chosen], self.copies, BEGIN, generator)[0]


def trained_models(plan: Plan, count: int, recipe: Recipe, generator: Generator) -> Iterator[KnownModel]:
    """Yield trained networks: of every four, two around a strong circuit, one around a weak one, one around nothing.

    Args:
        plan: sizes, strengths.
        count: how many.
        recipe: how they are trained.
        generator: decides it all.
    """
    circuits, lacking = cycle(CIRCUITS), cycle(LACKING)
    for strength in islice(cycle((plan.strong, plan.weak, plan.strong, None)), count):
        if strength is None:
            name = next(lacking)
            function, positions = LACKING[name]
            model = plan.fresh(1, generator, positions)
            plays = {(0, head): {function: False} for head in range(model.config.n_heads)}
            keep = _nothing
        else:
            planted = construction(plan, next(circuits), strength, generator, **DISTRACTORS)
            model, known = constructed(planted, generator), by_wiring(planted)
            plays = {head: of_head for head, of_head in known.items() if head[1] == 0}
            plays |= {(0, head): {"induction": False} for head in range(1, planted.n_heads)}
            name, keep = f"around {planted.circuit}", _planted(model)
        for _ in Training(model, recipe.draw, recipe.optimisation, generator, torch.float32).steps():
            keep()
        yield KnownModel("trained", name, weights_of(model), plays)


def _nothing() -> None:
    """Keep nothing as it was."""


def _planted(model: AttentionOnly) -> Callable[[], None]:
    """Return what puts a constructed network's embeddings and planted heads back, and what these read in order."""
    d_model, d_head, last = model.config.d_model, model.config.d_head, model.config.n_layers - 1
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    carried = before["blocks.0.project_output.weight"][:, :d_head].mT
    read = torch.cat([before["token_embedding.weight"], carried])
    elsewhere = torch.eye(d_model) - torch.linalg.pinv(read) @ read

    @torch.no_grad()
    def keep() -> None:
        for name, parameter in model.named_parameters():
            if name.endswith("project_qkv.weight"):
                for part in range(3):
                    planted = slice(part * d_model, part * d_model + d_head)
                    parameter[planted] = before[name][planted]
            elif name.endswith("project_output.weight"):
                if not name.startswith(f"blocks.{last}."):
                    parameter.copy_(elsewhere @ parameter)
                parameter[:, :d_head] = before[name][:, :d_head]
            else:
                parameter.copy_(before[name])

    return keep
