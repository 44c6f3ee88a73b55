"""What long work has done so far, kept beside its outputs so that a killed job goes on."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.plumbing.artefacts import Paths, atomic, provenance_of


def save_progress(path: Path, tag: str, tensors: dict[str, Tensor], facts: object) -> None:
    """Write tensors and JSON facts as one file, whole or not at all; `tag` names the work they belong to."""
    with atomic(path, size_of(tensors)) as temporary:
        save_file(tensors, temporary, {"progress": json.dumps({"tag": tag, "facts": facts})})


def size_of(tensors: dict[str, Tensor]) -> int:
    """Return how many bytes tensors take in a file, less its header."""
    return sum(tensor.nbytes for tensor in tensors.values())


def load_progress(path: Path, tag: str) -> tuple[dict[str, Tensor], Any] | None:
    """Return what was saved for this work; None if nothing was, or for other work, or if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads(file.metadata()["progress"])
            if progress["tag"] != tag:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, progress["facts"]  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def tag_of(inputs: Paths, outputs: Paths) -> str:
    """Name a job's work: its spec and every byte it reads."""
    digest = hashlib.sha256(outputs.provenance.encode())
    for path in inputs.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def portion(folder: Path, names: tuple[str, ...], tag: str) -> Paths:
    """Return where the tables of one portion of this work are kept, as outputs and as inputs."""
    return Paths([folder / f"{name}.parquet" for name in names], json.dumps(tag))


def is_done(portion: Paths) -> bool:
    """Whether all tables of a portion were written by the same work; a damaged one is none."""
    tag = json.loads(portion.provenance)
    try:
        return all(path.exists() and provenance_of(path) == tag for path in portion.files)
    except ValueError:  # damaged meanwhile
        return False
