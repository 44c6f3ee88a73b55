"""Tiny models and how they are read with a bug."""

import json

import pytest
import torch
from safetensors.torch import load_file

from pipeline.models.injected import injected
from pipeline.models.own_forward import own_forward
from pipeline.models.tiny import NAMES, save_tiny


@pytest.fixture(scope="package")
def folders(tmp_path_factory):
    """Where each tiny model is."""
    folder = tmp_path_factory.mktemp("tiny")
    for name in NAMES:
        save_tiny(name, folder / name, torch.Generator().manual_seed(0))
    return {name: folder / name for name in NAMES}


@pytest.fixture(scope="package")
def checkpoints(folders):
    """Each tiny model's config and tensors."""
    return {
        name: (json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors").__getitem__)
        for name, folder in folders.items()
    }


@pytest.fixture(scope="package")
def owns(folders):
    """Each tiny model's own forward pass."""
    return {name: own_forward(folder) for name, folder in folders.items()}


@pytest.fixture
def read(checkpoints):
    return lambda bug, name: injected(bug, *checkpoints[name])
