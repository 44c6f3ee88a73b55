"""What a checkpoint says of itself before any job: where it lies, how much it reads at once, whether it reads text."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.plumbing.errors import ConfigError
from pipeline.settings.prepare import TOKENIZER_FILES
from pipeline.settings.train import HUB_NAME

# What families call the longest sequence that a model reads.
LONGEST = ("n_positions", "max_position_embeddings", "n_ctx", "max_sequence_length")
# What families call sizes, by the key that they have where a model is made here.
SIZES = {
    "model.n_layers": ("n_layer", "num_hidden_layers", "n_layers"),
    "model.n_heads": ("n_head", "num_attention_heads", "n_heads"),
    "model.d_model": ("n_embd", "hidden_size", "d_model"),
    "tokenizer.d_vocab": ("vocab_size", "d_vocab"),
}
WIDTHS = ("n_inner", "intermediate_size")  # of feed-forward parts


@dataclass(frozen=True)
class Checkpoint:
    """One that is there."""

    path: str  # as it was asked for
    longest: int | None  # tokens; None if it says no limit
    reads_text: bool  # whether a tokenizer lies beside it

    @property
    def name(self) -> str:
        """A name for its experiment: the last part of its path, in letters that names have."""
        last = Path(self.path).resolve().name if Path(self.path).is_dir() else self.path.rpartition("/")[2]
        last = re.sub(r"[^\w.-]+", "-", last).strip("-.")
        return last if re.match(r"[^\W\d]", last) else f"model-{last}"

    def overrides(self, n_ctx: int, periods: list[int]) -> tuple[str, ...]:
        """Return how it departs from conf/: what it is, and what of the sequences does not fit it.

        Args:
            n_ctx: tokens in conf/'s sequences.
            periods: of conf/'s repeated blocks.

        Raises:
            ConfigError: its sequences are too short for anything to repeat in them.
        """
        own = ("model=hub", f"model.path='{self.path}'")
        own += (
            ("tokenizer=hub",)
            if self.reads_text
            else ("tokenizer=none", "tokenizer.d_vocab=null", "data=repeated_tokens")
        )
        if self.longest is None or self.longest >= n_ctx:
            return own
        fitting = sorted({period * self.longest // n_ctx for period in periods})
        if fitting[0] < 2:
            raise ConfigError(f"model={self.path}: reads {self.longest} tokens; too few for anything to repeat in them")
        half = (self.longest - 2) // 2
        return (
            *own,
            f"model.n_ctx={self.longest}",
            f"probe.periods=[{','.join(map(str, fitting))}]",
            f"probe.max_length={half}",
            f"probe.min_length={min(8, half)}",
            f"train.copies.max_length={half}",
            f"train.copies.min_length={min(8, half)}",
        )


def look_at(path: str) -> Checkpoint:
    """Read what a checkpoint's folder says, without weights, network or a line of its code.

    Args:
        path: a folder, or the name of one in the hub's cache.

    Raises:
        ConfigError: there is none, or its configuration cannot be read.
    """
    if strange := re.search(r"['\"\\$]", path):
        raise ConfigError(
            f"model={path}: has {strange[0]} in it, which Hydra reads as its own; link it under another name"
        )
    folder = folder_of(path)
    config = _config(path, folder)
    limits = [config[key] for key in LONGEST if isinstance(config.get(key), int)]
    reads_text = any(next(folder.glob(pattern), None) for pattern in TOKENIZER_FILES)
    return Checkpoint(path, min(limits, default=None), reads_text)


def _config(path: str, folder: Path) -> dict:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"model={path}: {folder / 'config.json'} cannot be read ({type(error).__name__})") from error
    if not isinstance(config, dict):
        raise ConfigError(f"model={path}: {folder / 'config.json'} holds no settings; save the model anew")
    return config


def sizes_of(path: str, most_positions: int) -> dict[str, int]:
    """Return what a checkpoint's config.json says of its size, by the keys of SIZES, and the least of its parameters.

    Args:
        path: a folder, or the name of one in the hub's cache.
        most_positions: that it may say it reads.

    Raises:
        ConfigError: it is not there, cannot be read, or says that it reads more.
    """
    config = _config(path, folder_of(path))
    for name in LONGEST:
        given = config.get(name)
        if given is not None and not (type(given) is int and 0 < given <= most_positions):
            raise ConfigError(
                f"model.path={path}: config.json says {name}={given}, and 1 to limits.positions={most_positions} may "
                "be; correct it"
            )
    told = {key: next((config[name] for name in names if config.get(name)), None) for key, names in SIZES.items()}
    sizes = {key: size for key, size in told.items() if type(size) is int}
    if sizes.keys() == SIZES.keys():
        layers, _, d_model, d_vocab = sizes.values()
        d_ff = next((config[name] for name in WIDTHS if type(config.get(name)) is int), 0)
        sizes["model.parameters"] = d_vocab * d_model + layers * (2 * d_model**2 + 2 * d_model * d_ff)
    return sizes


def folder_of(path: str) -> Path:
    """Return the folder of a checkpoint: the path itself, or where the hub's cache keeps what has this name.

    Raises:
        ConfigError: neither is there.
    """
    if Path(path).is_dir():
        return Path(path)
    if Path(path).exists():
        raise ConfigError(f"model={path}: is a file; name its folder, as save_pretrained writes it")
    if path.startswith((".", "/", "~")) or not HUB_NAME.fullmatch(path):
        raise ConfigError(f"model={path}: there is no such folder; name one, or a model in the hub's cache")
    from huggingface_hub import constants, try_to_load_from_cache

    file = try_to_load_from_cache(path, "config.json")
    if not isinstance(file, str):
        raise ConfigError(
            f"model={path}: no such folder, and not in the hub's cache {constants.HF_HUB_CACHE}; "
            f"fetch it once where there is network: hf download {path}"
        )
    return Path(file).parent
