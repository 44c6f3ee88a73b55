"""The package's tiny checkpoints, the same at every call."""

import torch

from pipeline.models import tiny
from pipeline.models.tiny import CHECKPOINTS, D_VOCAB

__all__ = ["CHECKPOINTS", "D_VOCAB", "model_of"]


def model_of(name, **changes):
    return tiny.model_of(name, torch.Generator().manual_seed(0), **changes)
