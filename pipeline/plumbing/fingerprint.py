"""What code a stage depends on: a hash of all it can reach, and the versions of the packages among it.

The workflow engine sees neither `python -m` nor imported modules, so this hash is what makes a changed
line rerun exactly the stages that reach it. Words do not count: see `without_words`.
"""

import functools
import hashlib
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.plumbing.freeze import LOCK, put
from pipeline.plumbing.graph import STAGES
from pipeline.plumbing.words import without_words

if TYPE_CHECKING:
    from grimp import ImportGraph

ROOT = Path(__file__).resolve().parents[2]
PARTS = (".js", ".css")  # of a page, in the package of the module that puts it together


@functools.cache
def _graph() -> "ImportGraph":
    import grimp  # of no use where all is kept

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return grimp.build_graph("pipeline", include_external_packages=True, cache_dir=None)


@functools.cache
def code_of(stage: str) -> tuple[str, dict[str, str]]:
    """Return the hash of every module of ours the stage can import, and its packages' versions."""
    code, packages = _kept()[stage] if (ROOT / LOCK).exists() else _worked_out(stage)
    return code, {package: release for package in packages if (release := _release(package))}


@functools.cache
def _kept() -> dict[str, tuple[str, list[str]]]:
    """Return of every stage what `_worked_out` does, kept beside frozen code, which nothing edits."""
    file = ROOT / f"code.{sys.version_info.major}.{sys.version_info.minor}.json"  # a release's way to write code down
    if not file.exists():
        put(json.dumps({stage: _worked_out(stage) for stage in STAGES}), file)
    return json.loads(file.read_text(encoding="utf-8"))


def _worked_out(stage: str) -> tuple[str, list[str]]:
    """Return the hash, and all that is imported from elsewhere."""
    roots = {f"pipeline.{stage}", *STAGES[stage].by_name}
    reached = roots.union(*map(_graph().find_upstream_modules, roots))
    ours = {module for module in reached if module.split(".")[0] == "pipeline"}
    # Importing a module runs its packages' __init__ files too.
    parents = {".".join(module.split(".")[:depth]) for module in ours for depth in range(1, module.count(".") + 1)}
    digest = hashlib.sha256()
    for module in sorted(ours | parents):
        digest.update(f"{module}\0{_code(module)}\0".encode())
    for file in sorted(file for package in parents for file in ROOT.joinpath(*package.split(".")).glob("*.*")):
        if file.suffix in PARTS:
            digest.update(f"{file.name}\0{file.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16], sorted(reached - ours)


@functools.cache
def _release(package: str) -> str | None:
    """Return the version of a package; None of the standard library."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@functools.cache
def _code(module: str) -> str:
    return without_words(_source(module), module, lambda name: _named_elsewhere(name, module))


def _named_elsewhere(name: str, module: str) -> bool:
    others = (other for other in _graph().modules if other.split(".")[0] == "pipeline" and other != module)
    return any(re.search(rf"\b{name}\b", _source(other)) for other in others)


@functools.cache
def _source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
