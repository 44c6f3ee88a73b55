"""What tests of several folders share."""

import os

import pytest
from jaxtyping import install_import_hook

# Before anything of the pipeline is imported: whatever is annotated is held to its shapes and types in every test.
install_import_hook(["pipeline.circuits"], "beartype.beartype")

from tiny_checkpoints import model_of  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture
def save(tmp_path):
    """Save a tiny checkpoint into a folder; say which, and how."""

    def save_as(name, folder="checkpoint", spoil=lambda model: None, shape=None, **options):
        model = model_of(name, **(shape or {}))
        spoil(model)
        model.save_pretrained(tmp_path / folder, **options)
        return tmp_path / folder, model

    return save_as
