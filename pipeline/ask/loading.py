"""Find a model, read it as the stages do, and hold what was read against what the model itself computes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from pipeline.ask.model import Model, Verified
from pipeline.ask.study import StudyRun, run_named
from pipeline.circuits.gates.checks import largest, on_sequences, verdict
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families import to_weights
from pipeline.models.hub import CONFIG, obtain_hub
from pipeline.models.notebook_checkpoint import obtain_notebook_checkpoint
from pipeline.models.one_line import first_line
from pipeline.models.own_forward import own_forward
from pipeline.models.tokenizer import id_tokenizer, loaded_tokenizer, saved_tokenizer
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import nearest

TENSORS, TOKENIZER = "model.safetensors", "tokenizer.json"
FILES = (".pt", ".pth", ".bin", ".safetensors")


def load(
    model: str | Path,
    heads: int | None = None,
    tokenizer: str | None = None,
    tell: Callable[[str], None] = lambda said: None,
) -> Model:
    """Read a model and verify it.

    Args:
        model: a run of a study (`smoke:base/0`, or the study's folder), a folder in the format of transformers or
            with the toy's config.json and model.safetensors, a name in the hub's cache, or a state dict in the
            notebook's format (.pt or .safetensors).
        heads: in each layer of a state dict, which it does not tell.
        tokenizer: name in the hub's cache, or folder, of a model that has none of its own; [BEGIN] and [END] join it
            where the model has two tokens more.
        tell: is told what is done.

    Raises:
        ValueError: there is no such model, it cannot be read, or what was read is not what the model computes.
    """
    name = str(model)
    tell(f"reading {name}")
    with TemporaryDirectory() as folder:
        run, own = bring(name, heads, Path(folder))
        config = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
        with safe_open(Path(folder) / TENSORS, framework="pt") as tensors:
            weights = to_weights(config, lambda tensor: tensors.get_tensor(tensor).to(torch.float32))
        usual = compose((), (), "base", 0)
        if run is None:  # no text is at hand for tokens to occur in
            usual["project"]["filters"] = [name for name in usual["project"]["filters"] if name != "occurring"]
        settings = (run.settings if run else usual) | {"ask": usual["ask"]}
        tell(f"verifying {name}")
        verified = verify(weights, Path(folder), settings["verify"], settings["ask"]["verified_tokens"])
    return Model(
        name, weights, _fitting(own, tokenizer, weights.d_vocab), settings, verified, run, config["model_type"]
    )


def bring(name: str, heads: int | None, folder: Path) -> tuple[StudyRun | None, Tokenizer | None]:
    """Bring a model's config.json and model.safetensors into a folder; return its run and its tokenizer, if it has any.

    Raises:
        ValueError: as of `load`.
    """
    run = run_named(name)
    return run, _of_study(run, folder) if run else _of_others(name, heads, folder)


def verify(weights: Weights, folder: Path, settings: dict, most: int) -> Verified:
    """Hold terms, patterns and logits against the model's own forward pass, as `verify` does, on a few tokens.

    Raises:
        ValueError: one is further off than conf/verify allows.
    """
    room = None if weights.W_pos is None else len(weights.W_pos)
    n = min(size for size in (most, weights.d_vocab, room, weights.window) if size is not None)
    tokens = spread(weights.d_vocab, n)[None]
    how = {"at_once": settings["batch"], "apart": settings["apart"]}
    with torch.no_grad():
        worst = largest(on_sequences(weights, tokens, **vars(own_forward(folder)(tokens)), **how))
    (gate, quantity, layer), error, fails = verdict(worst, settings["tolerance"])
    allowed = settings["tolerance"][gate]
    if fails:
        where = "" if layer is None else f" of layer {layer}"
        raise ValueError(
            f"check {gate}{where}: largest error of {quantity} {error:.3g}, tolerance {allowed:.3g}; what was read is "
            "not what the model computes, so nothing is said of it"
        )
    return Verified(len(worst), n, gate if gate == quantity else f"{gate} of {quantity}", error, allowed)


def _fitting(own: Tokenizer | None, named: str | None, d_vocab: int) -> Tokenizer:
    """Return the tokenizer asked for, else the model's own; ids where there is none."""
    if named is not None:
        own = loaded_tokenizer(named, False)
        if own.get_vocab_size() + 2 == d_vocab:
            own = loaded_tokenizer(named, True)
    if own is None:
        return id_tokenizer(d_vocab, False)
    if own.get_vocab_size() > d_vocab:
        raise ValueError(f"the tokenizer has {own.get_vocab_size()} tokens, the model knows {d_vocab}; give its own")
    return own


def vector_in(place: str) -> Tensor:
    """Return a vector by FILE:NAME of a safetensors file.

    Raises:
        ValueError: there is none.
    """
    file, _, name = place.rpartition(":")
    try:
        with safe_open(file, framework="pt") as tensors:
            if name not in tensors.keys():  # noqa: SIM118, no mapping
                raise ValueError(f"{file}: has no tensor {name}{nearest(name, list(tensors.keys()))}")
            return tensors.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{place}: cannot be read ({first_line(error)}); write FILE.safetensors:NAME") from error


def _quiet() -> None:
    """Let the libraries that read checkpoints print nothing: what is wrong with one, its reader says."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _of_study(run: StudyRun, folder: Path) -> Tokenizer:
    """Bring a study's model into the folder, if its files are as they were written."""
    made = Paths([run.folder("train") / name for name in (CONFIG, TENSORS, TOKENIZER)])
    for name in (CONFIG, TENSORS):
        (folder / name).symlink_to(made.whole(name).resolve())
    return saved_tokenizer(made.whole(TOKENIZER))


def _of_others(name: str, heads: int | None, folder: Path) -> Tokenizer | None:
    """Bring any other model into the folder; return its tokenizer, if it has one."""
    place = Path(name)
    if place.suffix in FILES and place.is_file():
        if (place.parent / CONFIG).is_file() and place.name == TENSORS:
            place = place.parent
        else:
            return _of_state_dict(place, heads, folder)
    try:
        if _is_toy(place):
            for file in (CONFIG, TENSORS):
                shutil.copyfile(place / file, folder / file)
        else:
            _quiet()
            obtain_hub(str(place), True, folder / CONFIG, folder / TENSORS)
    except (OSError, ValueError) as error:
        raise ValueError(str(error).removeprefix("model.path=")) from error
    return _tokenizer_of(place)


def _tokenizer_of(place: Path) -> Tokenizer | None:
    """Return the tokenizer beside a model; None where there is none, and tokens are told by their ids."""
    if (place / TOKENIZER).is_file():
        found = saved_tokenizer(place / TOKENIZER)
        found.no_truncation()
        found.no_padding()
        return found
    # Of a folder without its files, the library makes a tokenizer that knows nothing.
    if place.is_dir() and not any([*place.glob("tokenizer*"), *place.glob("vocab*")]):
        return None
    return loaded_tokenizer(str(place), False)


def _of_state_dict(file: Path, heads: int | None, folder: Path) -> Tokenizer | None:
    if heads is None:
        raise ValueError(f"{file}: a state dict does not tell how many heads a layer has; add --heads 8")
    try:
        obtain_notebook_checkpoint(file, heads, folder / CONFIG, folder / TENSORS)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("model.path=")) from error
    return _tokenizer_of(file.parent)


def _is_toy(folder: Path) -> bool:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # said in one line where the folder is read
    return isinstance(config, dict) and config.get("model_type") == "attention_only"
