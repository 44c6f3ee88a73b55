"""Checkpoints of the transformers library: found, checked, and brought under one file each, tensor by tensor."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.models.families import family_of, lazy_weights
from pipeline.models.families.agreement import copies_in, unused_tensors
from pipeline.models.one_line import first_line

CONFIG = "config.json"
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's tensors, read one at a time."""

    names: tuple[str, ...]
    read: Callable[[str], Tensor]
    file: Path | None  # that holds them all as safetensors; None if they are in several, or in pickles


@dataclass(frozen=True)
class Obtained:
    """What a checkpoint holds."""

    d_vocab: int  # rows of the embedding
    dtypes: tuple[str, ...]  # of its weights, as safetensors names them
    unused: tuple[str, ...]  # tensors that it holds beside, and that nothing is made of


def obtain_hub(path: str, allow_bin: bool, config_file: Path, model_file: Path) -> Obtained:
    """Bring a checkpoint into two files, never running code that it brings, and never whole in memory.

    Tensors keep their names and numbers. A checkpoint that is one file already is linked to, not copied.

    Args:
        path: a local folder, or a name in the hub's cache; nothing is fetched.
        allow_bin: whether pytorch_model.bin may be read, as tensors only, where there are no safetensors.
        config_file: where its configuration goes, every option written out.
        model_file: where its tensors go, as safetensors.

    Raises:
        ValueError: it cannot be found or read, its family is not known, a weight is not finite, or its tensors are not
            those of the model that its configuration describes.
    """
    patterns = [CONFIG, "*.safetensors", "*.safetensors.index.json"] + ["pytorch_model*"] * allow_bin
    folder = _folder(path, patterns)
    config = _config(path, folder)
    checkpoint = _opened(path, folder, allow_bin)
    found = {name: checked(path, name, checkpoint.read(name)) for name in checkpoint.names}
    weights = {name: about for name, about in found.items() if isinstance(about, tuple)}
    no_numbers = {name: about for name, about in found.items() if isinstance(about, str)}
    try:
        d_vocab = len(lazy_weights(config, checkpoint.read).tensor("W_E"))
    except ValueError as error:
        raise ValueError(f"model.path={path}: {error}") from error
    if d_vocab != config["vocab_size"]:
        raise ValueError(
            f"model.path={path}: config.json says {config['vocab_size']} tokens, the embedding has {d_vocab} rows; "
            "correct vocab_size in config.json"
        )
    try:
        unused = unused_tensors(config, {name: shape for name, (_, shape) in weights.items()}, no_numbers)
        for copy, of in copies_in(config).items():
            if {copy, of} <= weights.keys() and not torch.equal(checkpoint.read(copy), checkpoint.read(of)):
                raise ValueError(f"config.json says that {copy} is {of} over again, and their numbers differ")
    except ValueError as error:
        raise ValueError(f"model.path={path}: {error}") from error
    config_file.write_text(json.dumps(config | {"step": None}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if checkpoint.file is None:
        _merge(weights, checkpoint.read, model_file)
    else:
        model_file.unlink(missing_ok=True)
        model_file.symlink_to(checkpoint.file.resolve())
    return Obtained(d_vocab, tuple(sorted({dtype for dtype, _ in weights.values()})), unused)


def hub_vocabulary_size(path: str) -> int:
    """Return how many tokens the model at `path` knows, by its config.json alone; errors as of obtain_hub."""
    return _config(path, _folder(path, [CONFIG]))["vocab_size"]


def _folder(path: str, patterns: list[str]) -> Path:
    """Return where the files are: the path itself, or where the hub's cache keeps what has this name."""
    if Path(path).is_dir():
        return Path(path)
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise ValueError(f"model.path={path}: there is no such folder; give a folder, or a name on the hub")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, allow_patterns=patterns, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ValueError(
            f"model.path={path}: no such folder, and not in the hub's cache {constants.HF_HUB_CACHE}; "
            f"fetch it once where there is network: hf download {path}"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"model.path={path}: is no name on the hub ({first_line(error)}); check it") from error


def _config(path: str, folder: Path) -> dict:
    """Return config.json with every option of its family written out."""
    try:
        own = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"model.path={path}: {CONFIG} cannot be read ({first_line(error)})") from error
    if not isinstance(own, dict):
        raise ValueError(f"model.path={path}: {CONFIG} holds no options, but {json.dumps(own)[:40]}")
    try:
        family_of(own)
    except ValueError as error:
        raise ValueError(f"model.path={path}: {error}") from error
    if "quantization_config" in own:
        raise ValueError(f"model.path={path}: its weights are quantised; give the checkpoint they were made from")
    from transformers import AutoConfig

    try:
        full = AutoConfig.from_pretrained(folder, trust_remote_code=False).to_dict()
    except Exception as error:  # whatever the library stumbles over in files of others
        raise ValueError(f"model.path={path}: {CONFIG} cannot be used ({first_line(error)})") from error
    return {name: value for name, value in full.items() if name not in ("_name_or_path", "auto_map")}


def _opened(path: str, folder: Path, allow_bin: bool) -> Checkpoint:
    """Open a checkpoint in one file or in several, safetensors first."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    try:
        if single.is_file():
            tensors = safe_open(single, framework="pt")
            return Checkpoint(tuple(sorted(tensors.keys())), tensors.get_tensor, single)
        if index.is_file():
            return _sharded(index, lambda shard: safe_open(shard, framework="pt").get_tensor)
        single, index = folder / "pytorch_model.bin", folder / "pytorch_model.bin.index.json"
        if allow_bin and index.is_file():
            return _sharded(index, lambda shard: unpickled(shard).__getitem__)
        if allow_bin and single.is_file():
            tensors = unpickled(single)
            return Checkpoint(tuple(sorted(tensors)), tensors.__getitem__, None)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError) as error:
        raise ValueError(f"model.path={path}: its weights cannot be read ({first_line(error)})") from error
    pickled = single.is_file() or index.is_file()
    instead = "only pytorch_model.bin, which model.allow_bin=true reads as tensors only" if pickled else "none"
    raise ValueError(f"model.path={path}: needs safetensors, and has {instead}")


def _sharded(index: Path, open_shard: Callable[[Path], Callable[[str], Tensor]]) -> Checkpoint:
    shard_of = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    if strange := [shard for shard in shard_of.values() if Path(shard).name != shard]:
        raise ValueError(f"{index.name} points outside its folder, to {strange[0]}")
    readers = {shard: open_shard(index.parent / shard) for shard in sorted(set(shard_of.values()))}
    return Checkpoint(tuple(sorted(shard_of)), lambda name: readers[shard_of[name]](name), None)


def unpickled(file: Path, mmap: bool = True) -> dict[str, Tensor]:
    """Return a pickle's tensors by name, mapped into memory where asked for.

    Raises:
        ValueError: it cannot be read, or holds anything else, which is refused before it runs.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:  # whose text says how to run what the file brings
        raise ValueError(f"{file.name} holds more than tensors, or is damaged; nothing else is read") from error
    except Exception as error:  # what a damaged pickle raises is whatever its instructions stumble over
        raise ValueError(f"{file.name} is damaged or no checkpoint ({first_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{file.name} holds no state dict; save model.state_dict()")
    return state


def checked(path: str, name: str, tensor: Tensor) -> tuple[str, tuple[int, ...]] | str:
    """Return type and shape of a weight; of what is no weight, such as the masks in old checkpoints, its type.

    Raises:
        ValueError: the weight is not finite, or is stored in a way that is not read.
    """
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        kind = str(tensor.layout) if tensor.layout != torch.strided else f"{tensor.dtype} on {tensor.device}"
        raise ValueError(f"model.path={path}: {name} is {kind}; give all its numbers, dense")
    if not tensor.is_floating_point():
        return str(tensor.dtype)
    if tensor.dtype not in DTYPES:
        raise ValueError(f"model.path={path}: {name} is {tensor.dtype}; give a checkpoint in float32 or bfloat16")
    if not tensor.isfinite().all():
        raise ValueError(f"model.path={path}: {name} holds NaN or infinity")
    return DTYPES[tensor.dtype], tuple(tensor.shape)


def _merge(weights: dict[str, tuple[str, tuple[int, ...]]], read: Callable[[str], Tensor], file: Path) -> None:
    """Write tensors as one safetensors file, holding one at a time, which safetensors itself does not offer."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in weights.items():
        start, end = end, end + torch.Size(shape).numel() * (int(dtype.strip("BF")) // 8)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in weights:
            out.write(read(name).contiguous().flatten().view(torch.uint8).numpy().data)
