"""What the project says of its packages, commands and files, held against what there is."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {extra: [Requirement(line) for line in lines] for extra, lines in PROJECT["optional-dependencies"].items()}
DECLARED = [*DEPENDENCIES, *(requirement for extra in EXTRAS.values() for requirement in extra)]
RULES = "\n".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")])


def locked():
    """Return the version of every package of the lock, by its canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def lower_end(requirement):
    return [bound.version for bound in requirement.specifier if bound.operator in (">=", "==")]


def imports_of(path):
    """Return the top-level names that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_the_lock_holds_the_lower_end_of_every_range(requirement):
    assert lower_end(requirement) == [locked()[canonicalize_name(requirement.name)]]


def test_conda_gets_what_the_lock_says():
    packages = OmegaConf.to_container(OmegaConf.load(ROOT / "environment.yml"))["dependencies"][-1]["pip"]
    pins = [Requirement(package) for package in packages]
    assert [pin.name for pin in pins] == [package.name for package in DEPENDENCIES]
    assert [str(pin.specifier) for pin in pins] == [f"=={locked()[canonicalize_name(pin.name)]}" for pin in pins]


def test_every_package_that_the_code_imports_is_declared():
    declared = {canonicalize_name(requirement.name) for requirement in [*DEPENDENCIES, *EXTRAS["hub"]]}
    names = {name for path in (ROOT / "pipeline").rglob("*.py") for name in imports_of(path)}
    imported = names - sys.stdlib_module_names - {"pipeline"}
    distributions = packages_distributions()
    owners = {name: {canonicalize_name(owner) for owner in distributions.get(name, [name])} for name in imported}
    assert {name for name, its in owners.items() if not its & declared} == set()
    needed = set().union(*owners.values()) | {"snakemake"}  # which no code imports: it imports the code
    assert {canonicalize_name(package.name) for package in DEPENDENCIES} <= needed


def test_no_package_is_declared_twice():
    names = [canonicalize_name(requirement.name) for requirement in DECLARED]
    assert len(names) == len(set(names))


def test_types_are_shipped():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert [name for name in packages["pipeline"] if (ROOT / "pipeline" / name).is_file()] == ["py.typed"]


def test_one_version_is_said_everywhere():
    citation = OmegaConf.to_container(OmegaConf.load(ROOT / "CITATION.cff"))
    latest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation["version"] == latest[1] == PROJECT["version"]


WRITTEN = ["index", "method", "mistakes", "limits", "recipes"]  # the other pages of docs/ are printed from the code


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{name}.md" for name in WRITTEN)])
def test_every_command_names_what_there_is(page):
    commands = "\n".join(re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL))
    inline = re.findall(r"`([^`\n]+)`", (ROOT / page).read_text())
    text = "\n".join([commands, *inline])

    modules = [name.replace(".", "/") for name in re.findall(r"python -m (pipeline[\w.]+)", text)]
    assert [name for name in modules if not (ROOT / f"{name}.py").exists()] == []
    studies = re.findall(r"study=(\w+)", text)
    assert [name for name in studies if not (ROOT / "conf/study" / f"{name}.yaml").exists()] == []
    experiments = re.findall(r"--experiment ([a-z_]+)", text)
    assert [name for name in experiments if not (ROOT / "conf/experiment" / f"{name}.yaml").exists()] == []
    extras = {name for names in re.findall(r"\.\[([\w,]+)\]", text) for name in names.split(",")}
    assert extras <= set(EXTRAS)
    rules = re.findall(r"\bsnakemake ([a-z_]+)", text)
    assert [name for name in rules if not re.search(rf"^(use )?rule (\w+ as )?{name}\b", RULES, re.MULTILINE)] == []
    paths = re.findall(r"(?<![\w/])((?:pipeline|conf|tests|docs|workflow|profiles)/[\w/.-]*)(?![<*{])\b", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    tests = re.findall(r"\bpytest (?:-\S+ (?:slow|parity|browser) )?(tests/\S+)", text)
    assert [path for path in tests if not (ROOT / path.partition("::")[0]).exists()] == []
