import re
import tomllib
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_gets_the_same_pins():
    packages = OmegaConf.to_container(OmegaConf.load(ROOT / "environment.yml"))["dependencies"][-1]["pip"]
    assert packages == PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]


def test_constraints_agree_with_the_pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    for pin in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", pin).groups()
        assert constraints.get(name, version) == version
