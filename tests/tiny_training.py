"""A network too small to learn anything, on its way through 20 steps."""

import torch
from torch import Generator

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.training import Optimisation, Training

OPTIMISATION = Optimisation(
    steps=20,
    learning_rate=1e-2,
    warmup_steps=4,
    decay_share=0.5,
    beta1=0.9,
    beta2=0.98,
    epsilon=1e-8,
    weight_decay=0.1,
)


def tiny_training(optimisation=OPTIMISATION, batch=None, dtype=torch.float32):
    config = AttentionOnlyConfig(2, 2, 8, 10, 6, "queries_and_keys", tied=False)
    model, generator = AttentionOnly(config), Generator().manual_seed(1)
    model.initialise(1.0, 1.0, 1.0, generator)

    def random_tokens(generator):
        return torch.randint(6, (4, 10), generator=generator)

    return Training(model, batch or random_tokens, optimisation, generator, dtype)


def weights(run):
    """A copy of what the network is now."""
    return {name: value.clone() for name, value in run.model.state_dict().items()}
