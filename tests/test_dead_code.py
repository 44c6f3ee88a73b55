"""No code that nothing uses: vulture's list, less what is used from outside Python or by name."""

import ast
import re
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "pipeline").rglob("*.py"))
RULES = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
USED_ELSEWHERE = [
    "model_config",  # by pydantic
    "pre_tokenizer",  # by tokenizers
    "monitor_interval",  # by tqdm
    "visit_*",  # by ast
    "OF_A_STAGE",  # by tests: it completes the registry of figures
]
DECORATORS = ["@model_validator", "@field_validator", "@app.command"]  # pydantic and typer call these


def names_said():
    """Return the names by which code is found: the rules' words, and strings of the code that are one name."""
    words = {word for path in RULES for word in re.findall(r"\w+", path.read_text())}
    nodes = (node for path in MODULES for node in ast.walk(ast.parse(path.read_text())))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return words | strings


def unused(paths):
    vulture = Vulture(ignore_names=USED_ELSEWHERE, ignore_decorators=DECORATORS)
    vulture.scavenge(paths)
    return vulture.get_unused_code()


def test_nothing_is_dead():
    said = names_said()
    dead = [f"{code.filename.relative_to(ROOT)}:{code.first_lineno} {code.name}" for code in unused(MODULES)]
    assert [line for line in dead if line.split()[1] not in said] == []


def test_dead_code_is_found(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("def used():\n    return 1\n\n\ndef dead():\n    return used()\n")
    assert [code.name for code in unused([module])] == ["dead"]
