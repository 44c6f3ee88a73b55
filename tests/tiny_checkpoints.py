"""The package's tiny checkpoints, the same at every call."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file

from pipeline.models import tiny
from pipeline.models.families import to_weights
from pipeline.models.tiny import CHECKPOINTS, D_VOCAB

__all__ = ["CHECKPOINTS", "D_VOCAB", "model_of", "weights_of"]


def model_of(name, **changes):
    return tiny.model_of(name, torch.Generator().manual_seed(0), **changes)


def weights_of(name):
    """In float64."""
    with TemporaryDirectory() as folder:
        tiny.save_tiny(name, Path(folder), torch.Generator().manual_seed(1))
        config = json.loads((Path(folder) / "config.json").read_text())
        return to_weights(config, load_file(Path(folder) / "model.safetensors").__getitem__).double()
