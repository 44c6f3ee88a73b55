"""What a request needs: memory and time, from its settings alone, before any job starts.

Each is less than what is really needed: a product of settings, of the largest thing that a stage holds or does.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.plumbing.checkpoints import folder_of, sizes_of
from pipeline.plumbing.errors import ConfigError, at, explain
from pipeline.settings.limits import LimitsSettings

MOST = 1e30  # a setting counts as no more, so that a product of some is still a number
BYTES_OF_TEXT = 8  # that a character takes: read, cut into documents, and as tokens
OF_BOOTSTRAP = {"score": "probe.sentences", "ablate": "ablate.sentences", "decompose": "probe.sentences"}
A_MILLISECOND = 1e9  # FLOP: at conf/'s speed, the least that a turn of a loop takes
TURNS = (
    "score.draws",
    "score.pair_draws",
    "score.ranked_draws",
    "ablate.random_sets",
    "ablate.random_candidates",
    "ablate.order_pairs",
    "judge.validity_resamples",
    "judge.permutations",
    "benchmark.repeats",
)
COPIED = ("train.copies.max_length", "probe.max_length", "probe.repeat_tokens")  # tokens of a sequence
LISTED = ("score.top_tokens", "overlap.tokens", "overlap.recalled_tokens", "project.unit_tokens")  # of the vocabulary
OF_BATCHES = ("score", "ablate", "score_checkpoints", "decompose", "verify")


@dataclass(frozen=True)
class Need:
    """So many bytes or FLOP for each unit of a product of settings; of a setting squared, its key is there twice."""

    what: str
    each: float  # bytes, or FLOP
    keys: tuple[str, ...]

    def of(self, cfg: dict) -> int | float | None:
        """Return the product; None where a setting has no number, which others refuse or which does not apply."""
        values = [_number(cfg, key) for key in self.keys]
        return None if None in values else self.each * math.prod(value for value in values if value is not None)

    def blamed(self, cfg: dict, usual: dict, told: Collection[str] = ()) -> str:
        """Return the setting furthest above what conf/ has; where all are `told` by a checkpoint, the checkpoint's."""
        keys = [key for key in dict.fromkeys(self.keys) if key not in told] or ["model.path"]
        return max(keys, key=lambda key: (_number(cfg, key) or 0) / (_number(usual, key) or 1))


# Of a model that is trained here, and of one that was made elsewhere.
TRAINED = (
    Need("embeddings, their gradients and AdamW's means", 32, ("tokenizer.d_vocab", "model.d_model")),
    Need("layers, their gradients and AdamW's means", 64, ("model.n_layers", "model.d_model", "model.d_model")),
    Need("positions, their gradients and AdamW's means", 16, ("model.n_ctx", "model.d_model")),
    Need("the patterns of a step", 4, ("train.batch", "model.n_heads", "model.n_ctx", "model.n_ctx")),
    Need("the logits of a step", 4, ("train.batch", "model.n_ctx", "tokenizer.d_vocab")),
    Need("embeddings at every checkpoint", 8, ("train.checkpoints", "tokenizer.d_vocab", "model.d_model")),
    Need("layers at every checkpoint", 16, ("train.checkpoints", "model.n_layers", "model.d_model", "model.d_model")),
)
OBTAINED = (Need("the model, in float64,", 8, ("model.parameters",)),)
MEMORY = (
    *(
        Need("the patterns of a batch", 4, (f"{stage}.batch", "model.n_heads", "model.n_ctx", "model.n_ctx"))
        for stage in OF_BATCHES
    ),
    *(Need("resampled sentences", 24, (f"{stage}.resamples", own)) for stage, own in OF_BOOTSTRAP.items()),
    Need("resampled sequences", 24, ("challenge.resamples", "challenge.sentences")),
    Need("resampled heads", 8, ("judge.validity_resamples", "model.n_heads")),
    Need("permuted heads", 8, ("judge.permutations", "model.n_heads")),
    Need("random tokens", 8, ("data.documents", "data.document_tokens")),
    Need("losses measured in training", 8, ("train.curve.measurements", "train.curve.sentences", "model.n_ctx")),
    *(
        Need("sequences to measure on", 8, (f"probe.{name}", "probe.n_ctx"))
        for name in ("sentences", "loss_sentences", "loss_copies")
    ),
    Need("sequences to challenge with", 16, ("challenge.sentences", "challenge.n_ctx")),
    Need("rows of a circuit", 8, ("score.tile", "tokenizer.d_vocab")),
    Need("rows of a circuit", 8, ("score_checkpoints.tile", "tokenizer.d_vocab")),
    Need("a tile of a circuit", 2**20, ("project.tile_mb",)),
    Need("listed pairs", 32, ("model.n_layers", "model.n_heads", "project.pairs")),
    Need("listed tokens", 32, ("project.directions", "model.n_layers", "model.n_heads", "project.unit_tokens")),
    Need("scores of random heads", 8, ("score.draws", "model.n_layers", "model.n_heads")),
    Need("layers that are timed", 4, ("benchmark.n_layers", "benchmark.d_model", "benchmark.d_model")),
    Need("neurons that are timed", 4, ("benchmark.neurons", "benchmark.d_model")),
    Need("a tile that is timed", 4, ("benchmark.tile", "benchmark.tile")),
    Need("listed paths", 64, ("ablate.most_paths", "ablate.path_sentences")),
)
TRAINING = (
    Need("turns of a millisecond", A_MILLISECOND, ("train.steps",)),
    Need(
        "training",
        72,
        ("train.steps", "train.batch", "model.n_ctx", "model.n_layers", "model.d_model", "model.d_model"),
    ),
    Need("training", 6, ("train.steps", "train.batch", "model.n_ctx", "model.d_model", "tokenizer.d_vocab")),
    Need(
        "losses measured in training",
        4,
        ("train.curve.measurements", "train.curve.sentences", "model.n_ctx", "model.d_model", "tokenizer.d_vocab"),
    ),
)
TIME = (
    *(Need("turns of a millisecond", A_MILLISECOND, (key,)) for key in TURNS),
    *(
        Need(what, 2, (f"score.{name}", "model.n_layers", "model.d_model", "model.d_model"))
        for name, what in (("draws", "random heads"), ("pair_draws", "rotations"), ("ranked_draws", "random heads"))
    ),
    Need("orders of paths", 2, ("ablate.order_pairs", "ablate.path_sentences", "model.n_ctx", "tokenizer.d_vocab")),
    Need("random sets of heads", 2, ("ablate.random_candidates", "model.n_ctx", "model.d_model")),
    Need("random sets of heads", 2, ("ablate.random_sets", "ablate.set_sentences", "model.n_ctx", "model.d_model")),
)


def check_needs(cfg: dict, usual: dict) -> None:
    """Refuse a configuration that needs more memory or time than conf/config.yaml's limits allow.

    Args:
        cfg: the composed configuration.
        usual: the same as conf/ has it, whose value is offered.

    Raises:
        ConfigError: one line that names the setting furthest above conf/, and what it needs.
    """
    limits = limits_of(cfg, usual)
    flop_of_a_day = limits.gflop_per_s * 1e9 * 86400
    sizes = _sizes_told(cfg, usual, limits.positions)
    cfg = _with(cfg, sizes)
    memory, time = ((*OBTAINED, *MEMORY), TIME) if "path" in cfg["model"] else ((*TRAINED, *MEMORY), (*TRAINING, *TIME))
    for needs, each, most, of_what, said in (
        (memory, 1e9, limits.memory_gb, "GB", "limits.memory_gb"),
        (time, flop_of_a_day, limits.days, "days", "limits.days"),
    ):
        for need in needs:
            amount = need.of(cfg)
            if amount is not None and amount / each > most:
                key = need.blamed(cfg, usual, sizes)
                given, value = (at(values, key) for values in (cfg, usual))
                hint = "" if value in (None, given) else f"; conf/ has {value}"
                remedy = "take a smaller model" if key == "model.path" else "lower it"
                raise ConfigError(
                    f"{key}={given}: {need.what} would need {amount / each:.3g} {of_what}; "
                    f"{said}={most:g}, {remedy}{hint}"
                )


def _sizes_told(cfg: dict, usual: dict, most_positions: int) -> dict[str, int]:
    """Return the sizes that a checkpoint's config.json tells, by key; none of what is no checkpoint's folder.

    Raises:
        ConfigError: conf/ itself names the checkpoint, and it is not there, or it says that it reads more positions.
    """
    if cfg["model"].get("source") != "hub":
        return {}
    path = cfg["model"]["path"]
    try:
        there = (folder_of(path) / "config.json").is_file()
    except ConfigError:
        if path == usual["model"].get("path"):
            raise
        there = False  # which is said where the path is a setting
    return sizes_of(path, most_positions) if there else {}


def _with(cfg: dict, sizes: dict[str, int]) -> dict:
    """Return a configuration in which groups have these settings too."""
    for key, size in sizes.items():
        group, _, name = key.partition(".")
        cfg = cfg | {group: cfg[group] | {name: size}}
    return cfg


def check_together(cfg: dict, usual: dict, files: tuple[str, ...]) -> None:
    """Refuse what was asked for and the model has no room for: pairs of layers, copies, lists, a text.

    Args:
        cfg: the composed configuration.
        usual: the same as conf/ has it, which holds for whichever model has room.
        files: a person's text files, and what else `prepare` reads.

    Raises:
        ConfigError: one line that names the setting and the model's.
    """
    layers, n_ctx = cfg["model"].get("n_layers"), cfg["model"]["n_ctx"]
    for stage in ("score", "ablate"):
        pairs = cfg[stage]["layer_pairs"] or []
        lacking = [pair for pair in pairs if layers is not None and pair[1] >= layers]
        if lacking and pairs != usual[stage]["layer_pairs"]:
            raise ConfigError(
                f"{stage}.layer_pairs={pairs}: the model has {layers} layers, counted from 0; leave {lacking[0]} out, "
                "or raise model.n_layers"
            )
    d_vocab = cfg["tokenizer"].get("d_vocab")
    rooms = {"model.n_ctx": (n_ctx - 1, COPIED), "tokenizer.d_vocab": (d_vocab or math.inf, LISTED)}
    for room, (most, keys) in rooms.items():
        for key in keys:
            given, value = (at(values, key) for values in (cfg, usual))
            if given != value and given > most:
                raise ConfigError(f"{key}={given}: there is no room for so many in {room}={at(cfg, room)}; lower it")
    if cfg["data"]["kind"] == "text_files":
        size, paths = sum(Path(file).stat().st_size for file in files), cfg["data"]["paths"]
        if size < 2 * (n_ctx - 1):  # a token has a byte at least; one sequence is held out, one is not
            raise ConfigError(
                f"data.paths={paths}: {size} bytes are fewer than two sequences of model.n_ctx={n_ctx} tokens; "
                "bring more text"
            )
        if (needed := BYTES_OF_TEXT * size / 1e9) > cfg["limits"]["memory_gb"]:
            raise ConfigError(
                f"data.paths={paths}: {size / 1e9:.3g} GB of text would need {needed:.3g} GB; limits.memory_gb="
                f"{cfg['limits']['memory_gb']}, name smaller files"
            )


def limits_of(cfg: dict, usual: dict) -> LimitsSettings:
    """Return what a configuration says a request may need.

    Raises:
        ConfigError: a limit is of the wrong type or out of range.
    """
    try:
        return LimitsSettings.parse(cfg["limits"])
    except ValidationError as error:
        raise ConfigError(explain("limits", cfg["limits"], usual["limits"], error)) from error


def _number(cfg: dict, key: str) -> int | float | None:
    value = at(cfg, key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return min(value, MOST) if abs(value) < math.inf else None
