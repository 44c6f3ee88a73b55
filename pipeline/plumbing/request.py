"""What a person asked for: a study of conf/study/, or one of their own made by overriding it."""

import functools
import itertools
import json
import math
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from pipeline.plumbing import graph
from pipeline.plumbing.checkpoints import look_at
from pipeline.plumbing.compose import CONF, compose, parse_once, plain
from pipeline.plumbing.errors import ConfigError, nearest

KEYS = {
    "study": "a file of conf/study",
    "name": "a name for a study of your own",
    "overrides": "Hydra overrides of its ablation",
    "seeds": "its seeds, such as 0,1,2",
    "model": "a checkpoint's folder or its name in the hub's cache, or several with commas between",
}
RESULTS = Path("results")
CHECKPOINT = "checkpoint"  # the experiment that models made elsewhere start from
LONGEST_NAME = 150  # bytes; with the ending that a file of its own has, below what file systems take
# By a stage of the whole study, whose every experiment they are then: of the head of conf/config.yaml, or of a run's.
READ_BY_THE_STUDY = ("confidence", "significance", "score_checkpoints.early", "score_checkpoints.late")
NO_NAMES = ("null", "none", "true", "false", "yes", "no", "nan", "inf")


def refuse_twice(entries: list[str]) -> None:
    """Refuse a key that was given twice, of which Snakemake keeps the last.

    Args:
        entries: key=value, as they stand on the command line.

    Raises:
        ConfigError: the key and both values.
    """
    before: dict[str, str] = {}
    for entry in entries:
        key = entry.partition("=")[0]
        if key in before:
            raise ConfigError(f"{entry}: {key} is there twice, before as {before[key]}; give it once")
        before[key] = entry


def entries_of(arguments: list[str]) -> list[str]:
    """Return what a command line of Snakemake gives its option --config.

    Raises:
        ConfigError: the option is there twice, of which Snakemake keeps the last.
    """
    options = ("--config", "-C")
    if len([argument for argument in arguments if argument.split("=")[0] in options]) > 1:
        raise ConfigError("--config: is there twice; give all keys to one")
    after = itertools.dropwhile(lambda argument: argument.split("=")[0] not in options, arguments)
    first = [argument.partition("=")[2] for argument in itertools.islice(after, 1)]
    return [*filter(None, first), *itertools.takewhile(lambda argument: not argument.startswith("-"), after)]


@dataclass(frozen=True)
class Experiment:
    """One experiment of a study: a file of conf/experiment, plus overrides of its own."""

    name: str
    base: str
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A study's name, the overrides all its experiments share, and the experiments."""

    study: str
    overrides: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    text: str  # what was asked, as a shell takes it, to tell whether a name is taken by another request

    @classmethod
    def parse(cls, config: dict) -> Self:
        """Check --config's keys, which Snakemake does not, and read the study.

        Raises:
            ConfigError: an unknown key, study or experiment, a name that is taken, overrides without a name.
        """
        for key in set(config) - set(KEYS):
            raise ConfigError(f"--config {key}={config[key]}: no such key{nearest(str(key), list(KEYS))}")
        asked = {key: _text(key, config[key]) for key in KEYS if key in config}
        request = cls.of_study(asked.pop("study", "paper"))
        if not asked:
            return request
        if "model" in asked:
            return request.of_checkpoints(asked)
        for key in ("name", "overrides"):
            if key not in asked:
                raise ConfigError(
                    f"--config {' '.join(f'{k}={v}' for k, v in asked.items())}: add {key}=..., {KEYS[key]}"
                )
        return request.ablated(asked["name"], asked["overrides"], asked.get("seeds"))

    @classmethod
    def of_study(cls, study: str) -> Self:
        """Read conf/study/<study>.yaml."""
        studies = _names("study")
        if study not in studies:
            raise ConfigError(f"--config study={study}: no such study{nearest(study, studies)}")
        text = plain(OmegaConf.load(CONF / "study" / f"{study}.yaml"))
        experiments = []
        for name, asked in text["experiments"].items():
            # An experiment of conf/experiment and its seeds; or one of the study's own, made from such a one.
            own = asked if isinstance(asked, dict) else {"experiment": name, "seeds": asked, "overrides": ()}
            base = _experiment(own["experiment"], f"conf/study/{study}.yaml: {own['experiment']}")
            experiments.append(Experiment(name, base, tuple(own["seeds"]), tuple(own["overrides"])))
        return cls(study, tuple(text["overrides"]), tuple(experiments), f"study={study}")

    def of_checkpoints(self, asked: dict[str, str]) -> Self:
        """Return a study of models made elsewhere, an experiment each: nothing is trained, this study's settings stay.

        Args:
            asked: `model`, and perhaps a `name` and `overrides` of all of them.
        """
        if "seeds" in asked:
            raise ConfigError(f"--config seeds={asked['seeds']} model={asked['model']}: a checkpoint has no seeds")
        paths = [path.strip() for path in asked["model"].split(",")]
        if "" in paths or len(set(paths)) < len(paths):
            raise ConfigError(f"--config model={asked['model']}: name each model once, with commas between")
        models = [look_at(path) for path in paths]
        names = [model.name for model in models]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ConfigError(f"--config model={asked['model']}: two would be called {twice[0]}; link one elsewhere")
        points = _points(asked["overrides"]) if "overrides" in asked else [()]
        if len(points) > 1:
            raise ConfigError(f"--config overrides={asked['overrides']}: a sweep over checkpoints; give one value each")
        name = asked.get("name", "-".join(names))
        text = _as_asked({"study": self.study} | asked | {"name": name})
        _check_name(name, text)
        usual = compose((), (), CHECKPOINT, 0)["probe"]
        experiments = [
            Experiment(of_it, CHECKPOINT, (0,), (*model.overrides(usual["n_ctx"], usual["periods"]), *points[0]))
            for of_it, model in zip(names, models, strict=True)
        ]
        return replace(self, study=name, experiments=tuple(experiments), text=text)

    def ablated(self, name: str, overrides: str, seeds: str | None) -> Self:
        """Return a study called `name`: this study's first experiment beside the same with `overrides`.

        Args:
            name: of the new study, and of its experiment (of a sweep, the beginning of their names).
            overrides: Hydra's, separated by spaces; of a sweep, an experiment a value.
            seeds: of both experiments, as 0,1,2; those of this study's first if not given.
        """
        asked = {"study": self.study, "name": name, "overrides": overrides} | ({"seeds": seeds} if seeds else {})
        text = _as_asked(asked)
        _check_name(name, text)
        base = self.experiments[0] if seeds is None else replace(self.experiments[0], seeds=_seeds(seeds))
        points = _points(overrides)
        _check_size(len(points), len(points) * len(base.seeds), overrides)
        labels = [name if len(points) == 1 else f"{name}+{_label(point)}" for point in points]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"overrides: {overrides}: two experiments would be called {label}; ask for one")
        longest = max(labels, key=len)
        if len(longest.encode()) > LONGEST_NAME:
            raise ConfigError(
                f"overrides: {overrides}: an experiment would be called {longest}, of more than {LONGEST_NAME} "
                "bytes; write a file of conf/experiment for it"
            )
        of_the_study = dict.fromkeys(line for point in points for line in point if _concerns_the_study(line))
        variants = [
            _variant(base, label, point)
            for label, point in zip(labels, points, strict=True)
            if not all(map(_concerns_the_study, point))
        ]
        return replace(
            self, study=name, overrides=(*self.overrides, *of_the_study), experiments=(base, *variants), text=text
        )


def _variant(base: Experiment, name: str, point: tuple[str, ...]) -> Experiment:
    """Return an experiment that departs from another by overrides, which may name an experiment to start from."""
    chosen = [line.removeprefix("experiment=") for line in point if line.startswith("experiment=")]
    start = _experiment(chosen[0], f"experiment={chosen[0]}") if chosen else base.base
    own = tuple(line for line in point if not line.startswith("experiment=") and not _concerns_the_study(line))
    return Experiment(name, start, base.seeds, own)


def _experiment(name: str, asked: str) -> str:
    """Return the name of a file of conf/experiment, or say that there is none by what was asked."""
    if name not in _names("experiment"):
        raise ConfigError(f"{asked}: no such experiment{nearest(name, _names('experiment'))}")
    return name


def _seeds(asked: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", asked):
        raise ConfigError(f"--config seeds={asked}: not a list of seeds; write seeds=0,1,2")
    seeds = tuple(int(seed) for seed in asked.split(","))
    if max(seeds) >= 2**63:
        raise ConfigError(f"--config seeds={asked}: {max(seeds)} is beyond the largest seed, {2**63 - 1}; lower it")
    return seeds


def _label(point: tuple[str, ...]) -> str:
    """Return overrides as a part of a file's name."""
    return re.sub(r"[^\w.,+-]+", "-", "+".join(point))


def _concerns_the_study(override: str) -> bool:
    """Whether what is set reaches a stage that runs once for a study: it is all its experiments' then."""
    key = override.partition("=")[0]
    return key.partition(".")[0] in graph.OF_A_STUDY or key in READ_BY_THE_STUDY


def _points(overrides: str) -> list[tuple[str, ...]]:
    """Return every combination of a sweep's values, each as plain overrides."""
    try:
        lines = shlex.split(overrides)
    except ValueError as error:
        raise ConfigError(f"--config overrides={overrides}: a quotation has no end; close or drop it") from error
    axes = [_axis(override) for override in parse_once(lines)]
    if not axes:
        raise ConfigError(f"--config overrides={overrides}: nothing is set; write key=value")
    _check_size(math.prod(map(len, axes)), 1, overrides)
    return list(itertools.product(*axes))


def _axis(override: Override) -> list[str]:
    """Return an override's values, each as a plain override."""
    line = str(override.input_line)
    if not override.is_sweep_override():
        return [line]
    sweep = override.value()
    if not isinstance(sweep, ChoiceSweep | RangeSweep) or sweep.shuffle:
        raise ConfigError(f"overrides: {line}: no list of values; write them out, as {override.key_or_group}=1,2,4")
    if _concerns_the_study(line):
        raise ConfigError(f"overrides: {line}: is of the whole study, which has no second; give one value")
    most = _limit("experiments")
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), most + 1))
    except (HydraException, TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"overrides: {line}: no list of values; write them out, as a=1,2,4") from error
    _check_size(len(values), 1, line)
    if not values:
        raise ConfigError(f"overrides: {line}: is a sweep of nothing; write its values out, as a=1,2,4")
    for value in values:
        if re.search(r"\b(choice|range|interval|glob|sort|shuffle)\(", value):
            raise ConfigError(f"overrides: {line}: a sweep within a sweep; write its values out, as a=1,2,4")
    once = [_number(value) for value in values]
    for value, number in zip(values, once, strict=True):
        if once.count(number) > 1:
            raise ConfigError(f"overrides: {line}: {value} is there twice; give it once")
    return [f"{override.get_key_element()}={value}" for value in values]


def _number(text: str) -> float | str:
    """Return a number, so that 0.1 and 1e-1 are equal, or the text that is none."""
    try:
        return float(text)
    except ValueError:
        return text


def _as_asked(config: dict[str, str]) -> str:
    return " ".join(f"{key}={shlex.quote(value)}" for key, value in config.items())


def _check_size(experiments: int, runs: int, asked: str) -> None:
    for name, number in (("experiments", experiments), ("runs", runs)):
        if number > _limit(name):
            raise ConfigError(
                f"{asked}: makes more than {_limit(name)} {name}, conf/config.yaml's limits.{name}; "
                "ask for fewer, or for one part after another"
            )


@functools.cache
def _limit(name: str) -> int:
    return OmegaConf.load(CONF / "config.yaml").limits[name]


def _text(key: str, value: object) -> str:
    """Return what Snakemake read as the text that was written; some it has read as something else."""
    if value is None or str(value).strip() == "":
        raise ConfigError(f"--config {key}=: is empty; write {key}=..., {KEYS[key]}, or leave it out")
    if not isinstance(value, str) and not (key == "seeds" and type(value) is int):
        raise ConfigError(
            f"--config {key}={value}: read as {type(value).__name__}, not as text; write {key}=..., {KEYS[key]}"
        )
    text = str(value)
    if len(text) > _limit("characters"):
        raise ConfigError(
            f"--config {key}={text}: {len(text)} characters, more than conf/config.yaml's limits.characters="
            f"{_limit('characters')}; write a file of conf/study instead"
        )
    if not text.isprintable() and not text.isascii():
        raise ConfigError(f"--config {key}={text!r}: has characters that cannot be printed; leave them out")
    return text


def _check_name(name: str, text: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"--config name={name}: use letters, digits, _ . and - only")
    if len(name.encode()) > LONGEST_NAME:
        raise ConfigError(f"--config name={name}: {len(name.encode())} bytes; use {LONGEST_NAME} at most")
    if name.lower() in NO_NAMES or name.isdigit():
        raise ConfigError(f"--config name={name}: reads as a value, not as a name; start it with another word")
    taken = name in _names("study")
    record = RESULTS / "studies" / name / "request.json"
    if record.exists():
        try:
            taken = json.loads(record.read_text(encoding="utf-8"))["request"] != text
        except (ValueError, KeyError, TypeError):  # broken: nobody knows whose it is
            taken = True
    if taken or name in _names("experiment"):
        free = next(f"{name}_{n}" for n in itertools.count(2) if not (RESULTS / "studies" / f"{name}_{n}").exists())
        raise ConfigError(f"--config name={name}: that name is taken; {free} is free")


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))
