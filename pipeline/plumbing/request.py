"""What a person asked for: a study of conf/study/, or one of their own made by overriding it."""

import itertools
import json
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from omegaconf import OmegaConf

from pipeline.plumbing import graph
from pipeline.plumbing.compose import CONF, parse, plain
from pipeline.plumbing.errors import ConfigError, nearest

KEYS = {
    "study": "a file of conf/study",
    "name": "a name for a study of your own",
    "overrides": "Hydra overrides of its ablation",
    "seeds": "its seeds, such as 0,1,2",
}
RESULTS = Path("results")


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
    text: str  # what was asked, to tell whether a name is taken by another request

    @classmethod
    def parse(cls, config: dict) -> Self:
        """Check --config's keys, which Snakemake does not, and read the study.

        Raises:
            ConfigError: an unknown key, study or experiment, a name that is taken, overrides without a name.
        """
        for key in set(config) - set(KEYS):
            raise ConfigError(f"--config {key}={config[key]}: no such key{nearest(key, list(KEYS))}")
        request = cls.of_study(str(config.get("study", "paper")))
        own = {key: str(config[key]) for key in ("name", "overrides", "seeds") if key in config}
        if not own:
            return request
        for key in ("name", "overrides"):
            if key not in own:
                raise ConfigError(
                    f"--config {' '.join(f'{k}={v}' for k, v in own.items())}: add {key}=..., {KEYS[key]}"
                )
        return request.ablated(own["name"], own["overrides"], own.get("seeds"))

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

    def ablated(self, name: str, overrides: str, seeds: str | None) -> Self:
        """Return a study called `name`: this study's first experiment beside the same with `overrides`.

        Args:
            name: of the new study, and of its experiment (of a sweep, the beginning of their names).
            overrides: Hydra's, separated by spaces; of a sweep, an experiment a value.
            seeds: of both experiments, as 0,1,2; those of this study's first if not given.
        """
        asked = {"study": self.study, "name": name, "overrides": overrides} | ({"seeds": seeds} if seeds else {})
        text = " ".join(f"{key}={value}" for key, value in asked.items())
        _check_name(name, text)
        base = self.experiments[0] if seeds is None else replace(self.experiments[0], seeds=_seeds(seeds))
        points = _points(overrides)
        of_the_study = dict.fromkeys(line for point in points for line in point if _concerns_the_study(line))
        variants = [
            _variant(base, name if len(points) == 1 else f"{name}+{_label(point)}", point)
            for point in points
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
    if not re.fullmatch(r"\d+(,\d+)*", asked):
        raise ConfigError(f"--config seeds={asked}: not a list of seeds; write seeds=0,1,2")
    return tuple(int(seed) for seed in asked.split(","))


def _label(point: tuple[str, ...]) -> str:
    """Return overrides as a part of a file's name."""
    return re.sub(r"[^\w.,+-]+", "-", "+".join(point))


def _concerns_the_study(override: str) -> bool:
    """Whether what is set is of a stage that runs once for a study: it is all its experiments' then."""
    return re.split("[.=]", override)[0] in graph.OF_A_STUDY


def _points(overrides: str) -> list[tuple[str, ...]]:
    """Return every combination of a sweep's values, each as plain overrides."""
    axes = []
    for override in parse(shlex.split(overrides)):
        if override.is_sweep_override():
            axes.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
        else:
            axes.append([override.input_line])
    return list(itertools.product(*axes))


def _check_name(name: str, text: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"--config name={name}: use letters, digits, _ . and - only")
    taken = name in _names("study")
    record = RESULTS / "studies" / name / "request.json"
    if record.exists():
        taken = json.loads(record.read_text(encoding="utf-8"))["request"] != text
    if taken or name in _names("experiment"):
        free = next(f"{name}_{n}" for n in itertools.count(2) if not (RESULTS / "studies" / f"{name}_{n}").exists())
        raise ConfigError(f"--config name={name}: that name is taken; {free} is free")


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))
