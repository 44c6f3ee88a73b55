"""What the project promises of where its tests lie, and whether they do."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROMISE = (
    "Tests lie as the package does, path for path: `pipeline/claims/roles.py` is tested by "
    "`tests/claims/test_roles.py`, and what `pipeline/models/families/__init__.py` does by "
    "`tests/models/test_families.py`. Modules of constants alone need no test; `tests/test_mirror.py` lists the tests "
    "of several modules together."
)
# The tests of several modules together.
OF_MANY = {
    "test_dead_code.py",
    "test_environment.py",
    "test_every_definition.py",
    "test_imports.py",
    "test_mirror.py",
    "test_notebook.py",
    "test_parity.py",
    "test_roles_of_wired_heads.py",
    "test_workflow.py",
    "test_workflow_frozen.py",
    "test_workflow_of_checkpoints.py",
    "circuits/definitions/test_calibration.py",
    "atlas_page/test_in_the_browser.py",
    "documentation/test_pages.py",
    "faults/test_cluster.py",
    "faults/test_damaged_tables.py",
    "faults/test_disks.py",
    "faults/test_kills.py",
    "faults/test_strangers.py",
    "faults/test_requests.py",
    "faults/test_s3.py",
    "faults/test_two_at_once.py",
    "figures/test_every_figure.py",
    "models/injected/test_every_bug.py",
    "settings/test_reached.py",
}


def does_something(module):
    """Whether a module has a function or a class, or calls any."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Call)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))))


def mirror_of(module, package):
    """The test file of a module, relative to the tests."""
    path = module.relative_to(package)
    path = path.parent if path.stem == "__init__" else path.with_suffix("")
    return (path.parent / f"test_{path.name or package.name}.py").as_posix()


def strays(package, tests, of_many):
    """Return modules without a test, test files without a module, and files named in vain."""
    wanted = {mirror_of(module, package) for module in package.rglob("*.py") if does_something(module)}
    possible = {mirror_of(module, package) for module in package.rglob("*.py")}
    there = {path.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    return sorted(wanted - there), sorted(there - possible - of_many), sorted(of_many - (there - possible))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_promise_is_the_same_everywhere(page):
    assert PROMISE in " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_the_promise_is_what_is_tested():
    examples = {"claims/roles.py": "claims/test_roles.py", "models/families/__init__.py": "models/test_families.py"}
    for module, test in examples.items():
        assert f"`pipeline/{module}`" in PROMISE
        assert f"`tests/{test}`" in PROMISE
        assert mirror_of(ROOT / "pipeline" / module, ROOT / "pipeline") == test


def test_every_module_has_a_test_and_every_test_its_module():
    untested, orphaned, named_in_vain = strays(ROOT / "pipeline", ROOT / "tests", OF_MANY)
    assert untested == []
    assert orphaned == []
    assert named_in_vain == []


def test_every_test_file_tests():
    empty = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        if not any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in nodes):
            empty.append(path.name)
    assert empty == []


def test_what_departs_is_found(tmp_path):
    package, tests = tmp_path / "package", tmp_path / "tests"
    files = {
        "package/__init__.py": '"""Words."""',
        "package/constants.py": "NAMES = ('a', 'b')\nMore = float | str\n",
        "package/room/__init__.py": "def listed():\n    pass\n",
        "package/room/does.py": "def it():\n    pass\n",
        "package/room/declares.py": "IT = dict(a=1)\n",
        "tests/helper.py": "",
        "tests/room/test_does.py": "",
        "tests/room/test_gone.py": "",
        "tests/test_whole.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    untested, orphaned, named_in_vain = strays(package, tests, {"test_whole.py", "test_moved.py", "room/test_does.py"})
    assert untested == ["room/test_declares.py", "test_room.py"]
    assert orphaned == ["room/test_gone.py"]
    assert named_in_vain == ["room/test_does.py", "test_moved.py"]
