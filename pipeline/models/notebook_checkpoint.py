"""Checkpoints in the notebook's format, brought under the names of the toy network."""

import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.models.hub import checked, hub_vocabulary_size, unpickled
from pipeline.models.one_line import first_line


def vocabulary_size(path: str) -> int:
    """Return how many tokens the model at `path` knows: a checkpoint file, or a folder or name of the hub.

    Raises:
        ValueError: it cannot be read, or does not say.
    """
    if Path(path).is_file():
        state = _state_dict(Path(path))
        if "token_embedding.weight" not in state:
            names = ", ".join(sorted(state)[:5])
            raise ValueError(f"model.path={path}: has no token_embedding.weight; it has {names} ...")
        return state["token_embedding.weight"].shape[0]
    return hub_vocabulary_size(path)


def obtain_notebook_checkpoint(path: Path, n_heads: int, config_file: Path, model_file: Path) -> int:
    """Convert a checkpoint in the notebook's format: a state dict of an attention-only model.

    Any number of layers, any sizes; the unembedding is tied. Read with `weights_only`, so that the file
    can hold nothing but tensors.

    Args:
        path: the file, as `torch.save` or safetensors wrote it.
        n_heads: heads in each layer, which the tensors do not tell.
        config_file: where its configuration goes.
        model_file: where its tensors go.

    Returns:
        Number of tokens the model knows.

    Raises:
        ValueError: the file cannot be read, a tensor is missing, of the wrong shape or not finite, or
            n_heads does not divide d_model.
    """
    read = _state_dict(path)
    found = {name: checked(str(path), name, value) for name, value in read.items()}
    for name, about in found.items():
        if isinstance(about, str) and "mask" not in name:
            raise ValueError(
                f"model.path={path}: {name} is {about}, which no parameter is; save floating-point numbers"
            )
    state = {name: read[name].to(torch.float32).contiguous() for name in found if isinstance(found[name], tuple)}
    config = _notebook_config(path, state, n_heads)
    for name in sorted(state.keys() - _notebook_shapes(config)):
        # Masks; or the unembedding, which is tied, by a name of its own.
        if "mask" not in name and not torch.equal(state[name], state["token_embedding.weight"]):
            raise ValueError(f"model.path={path}: holds {name}, which is no part of the notebook's model")
    save_file({name: state[name] for name in _notebook_shapes(config)}, model_file)
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return config["d_vocab"]


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path) if path.suffix == ".safetensors" else unpickled(path, mmap=False)
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"model.path={path}: cannot be read as tensors only ({first_line(error)})") from error


def _notebook_config(path: Path, state: dict[str, Tensor], n_heads: int) -> dict:
    for name in ("token_embedding.weight", "pos_embedding.weight", "blocks.0.project_qkv.weight"):
        if name not in state:
            raise ValueError(f"model.path={path}: has no {name}; it has {', '.join(sorted(state)[:5])} ...")
    d_vocab, d_model = state["token_embedding.weight"].shape
    if d_model % n_heads:
        divisors = [n for n in range(1, d_model + 1) if d_model % n == 0]
        close = min(divisors, key=lambda n: abs(n - n_heads))
        raise ValueError(f"model.n_heads={n_heads} does not divide the checkpoint's d_model={d_model}; try {close}")
    layers = {int(block[1]) for name in state if (block := re.match(r"blocks\.(\d+)\.", name))}
    if layers != set(range(len(layers))):
        raise ValueError(f"model.path={path}: has {len(layers)} blocks, and one of them is number {max(layers)}")
    config = {
        "model_type": "attention_only",
        "n_layers": len(layers),
        "n_heads": n_heads,
        "d_model": d_model,
        "n_ctx": state["pos_embedding.weight"].shape[0],
        "d_vocab": d_vocab,
        "positions": "queries_and_keys",
        "tied": True,
        "step": None,
    }
    for name, shape in _notebook_shapes(config).items():
        if name not in state:
            raise ValueError(f"model.path={path}: has no {name}")
        if tuple(state[name].shape) != shape:
            raise ValueError(f"model.path={path}: {name} has shape {list(state[name].shape)}, not {list(shape)}")
    return config


def _notebook_shapes(config: dict) -> dict[str, tuple[int, int]]:
    d_model = config["d_model"]
    shapes = {
        "token_embedding.weight": (config["d_vocab"], d_model),
        "pos_embedding.weight": (config["n_ctx"], d_model),
    }
    for layer in range(config["n_layers"]):
        shapes[f"blocks.{layer}.project_qkv.weight"] = (3 * d_model, d_model)
        shapes[f"blocks.{layer}.project_output.weight"] = (d_model, d_model)
    return shapes
