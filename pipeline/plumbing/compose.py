"""Hydra's composition of conf/, with errors that name the key and the nearest right one."""

import functools
import re
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from pipeline.plumbing.errors import ConfigError, at, nearest

OF_UNITS = ("project.heads", "project.neurons")
UNIT, _QUOTED = r"(?<![\w.'\"])\d+\.\d+(?![\w.'\"])", r"'\g<0>'"
# Two seeds that nobody asks for: where settings composed for these differ, the seed goes. To compose takes 60 ms.
PROBES = (999_999_937, 999_999_893)
CONF = Path(__file__).resolve().parents[2] / "conf"


def compose(shared: tuple[str, ...], own: tuple[str, ...], experiment: str, seed: int) -> dict:
    """Compose conf/ for one experiment and seed; every interpolation resolved, plain values only.

    Args:
        shared: overrides of all experiments of a study; those within a choice that this experiment makes
            otherwise (settings of the text, where tokens are random) do not concern it.
        own: overrides of this experiment.
        experiment: a file of conf/experiment.
        seed: the run's.

    Raises:
        ConfigError: an override names no key or no choice there is, or cannot be parsed, or a value that
            conf/ leaves to the person is not given.
    """
    first, second = (_composed(shared, own, experiment, probe) for probe in PROBES)
    try:
        return _seeded(first, second, seed)
    except ValueError:
        return _composed(shared, own, experiment, seed)


def _seeded(first: Any, second: Any, seed: int) -> Any:
    """Return settings composed for either of PROBES, with a seed where these are; ValueError if it is elsewhere too."""
    if first == second:
        return first
    if (first, second) == PROBES:
        return seed
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: _seeded(value, second[key], seed) for key, value in first.items()}
    if isinstance(first, list) and isinstance(second, list):
        return [_seeded(*values, seed) for values in zip(first, second, strict=True)]
    raise ValueError(f"{first}: made of a seed")


@functools.cache
def _composed(shared: tuple[str, ...], own: tuple[str, ...], experiment: str, seed: int) -> dict:
    cfg = _compose(shared, own, experiment).copy()
    cfg.seed = seed
    try:
        return plain(cfg)
    except MissingMandatoryValue as error:
        missing = sorted(OmegaConf.missing_keys(cfg))
        raise ConfigError(f'{missing[0]}: not set; add overrides="{missing[0]}=..."') from error
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(_unresolved((*shared, *own), error)) from error


def set_by(key: str, composed: dict) -> str:
    """Return the key by which a person sets what a stage has at `key`: another, where conf/ refers to it.

    Args:
        key: stage and place in its slice.
        composed: the configuration, in which somebody may have set either.
    """
    stage, _, place = key.partition(".")
    file = CONF / stage / "default.yaml"
    written = at(OmegaConf.to_container(OmegaConf.load(file)), place) if place and file.exists() else None
    other = re.fullmatch(r"\$\{([\w.]+)\}", str(written))
    value = at(composed, key)
    return other[1] if other and value is not None and value == at(composed, other[1]) else key


def plain(cfg: DictConfig | ListConfig) -> dict:
    """Return settings as plain values, every interpolation resolved."""
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)  # a list has no settings
    return values


@functools.cache
def _compose(shared: tuple[str, ...], own: tuple[str, ...], experiment: str) -> DictConfig:
    chosen = {line.split("=")[0] for line in own}
    shared = tuple(line for line in shared if line.split(".")[0] not in chosen)
    parsed = parse((*shared, *own))
    for override in parsed:
        if override.key_or_group == "seed":  # each run has its own, which comes last
            raise ConfigError(
                f"overrides: {override.input_line}: set the seeds of runs by --config seeds=0,1,2 instead"
            )
    groups = [override for override in parsed if (CONF / override.key_or_group).is_dir()]
    for override in groups:
        choices = sorted(path.stem for path in (CONF / override.key_or_group).glob("*.yaml"))
        if override.value() not in choices:
            wrong = str(override.value())
            raise ConfigError(f"{override.key_or_group}={wrong}: no such choice{nearest(wrong, choices)}")
    cfg = _hydra(f"experiment={experiment}", *(override.input_line for override in groups)).copy()
    keys = _keys(cfg)
    for override in (override for override in parsed if override not in groups):
        inside = sorted(key for key in keys if key.startswith(f"{override.key_or_group}."))
        if inside and not isinstance(override.value(), dict):
            raise ConfigError(f"{override.input_line}: is a group of settings; conf/ has {inside[0]} in it: set that")
        if override.key_or_group in keys:
            OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)  # as Hydra does, but for choices
        elif override.input_line in own or override.key_or_group not in _keys(_hydra()):
            raise ConfigError(f"{override.input_line}: no such setting{nearest(override.key_or_group, sorted(keys))}")
    return cfg


def parse(overrides: tuple[str, ...] | list[str]) -> list[Override]:
    """Parse Hydra's override syntax; only plain `key=value` and sweeps, for + and ~ add or remove keys."""
    parsed = []
    for line in overrides:
        try:
            (override,) = OverridesParser.create().parse_overrides([_named(line)])
        except (HydraException, RecursionError, ValueError) as error:
            raise ConfigError(
                f"overrides: {line}: cannot be read as key=value; write numbers and words as they are, lists as [1,2], "
                "and quote other text twice: \"key='a b'\""
            ) from error
        if not override.key_or_group:
            raise ConfigError(f"overrides: {line}: cannot be read as key=value; name the key")
        if override.is_add() or override.is_delete():
            raise ConfigError(f"overrides: {line}: only key=value; conf/ names every key there is")
        if override.package is not None or override.is_hydra_override():
            raise ConfigError(f"overrides: {line}: no such setting; conf/ names every key there is")
        parsed.append(override)
    return parsed


def _named(line: str) -> str:
    """Quote layer.head and layer.neuron, which would be read as decimals: 19.170 is not 19.17."""
    key, equals, value = line.partition("=")
    return f"{key}={re.sub(UNIT, _QUOTED, value)}" if equals and key in OF_UNITS else line


def parse_once(overrides: tuple[str, ...] | list[str]) -> list[Override]:
    """Parse the overrides that a person wrote in one place, where no key is there twice."""
    before: dict[str, str] = {}
    for override in (parsed := parse(overrides)):
        key, line = override.key_or_group, override.input_line
        if key in before:
            raise ConfigError(f"overrides: {line}: {key} is there twice, before as {before[key]}; give it once")
        before[key] = str(line)
    return parsed


@functools.cache
def _hydra(*overrides: str) -> DictConfig:
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra_compose("config", list(overrides))
    except (HydraException, OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(_unresolved(overrides, error)) from error
    OmegaConf.set_struct(cfg, False)
    return cfg


def _keys(cfg: DictConfig) -> set[str]:
    """Return the dotted name of every setting, groups included."""
    names = set()

    def walk(value: object, prefix: str) -> None:
        for key, inner in value.items() if isinstance(value, dict) else ():
            names.add(f"{prefix}{key}")
            walk(inner, f"{prefix}{key}.")

    walk(OmegaConf.to_container(cfg), "")
    return names


def _unresolved(overrides: tuple[str, ...], error: Exception) -> str:
    """Return which override refers to a setting that is not there, or to itself; else what Hydra says."""
    refers = [line for line in overrides if "${" in line]
    if refers:
        return f"overrides: {refers[0]}: refers to a setting that is not there, or to itself; write the value"
    return re.sub(r"\s+", " ", str(error)).split(" Config search path")[0].split(" full_key:")[0].strip()
