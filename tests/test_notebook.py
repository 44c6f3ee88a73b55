"""notebooks/explore.ipynb, and the recipes' ways to read a table, on a study whose answers are known."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from made_up_rows import filled
from nbclient import NotebookClient

from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.registry import OF_A_RUN, TABLES

ROOT = Path(__file__).resolve().parents[1]
RUN = {"experiment": "base", "seed": 0}
HEADS = [RUN | {"layer": layer, "head": head} for layer in (0, 1) for head in (0, 1)]
EDGE = RUN | {"src_layer": 0, "dst_layer": 1, "dst_head": 0}
COPYING = {"metric": "copying", "definition": "eigenvalue", "eval_set": "weights"}
ROWS = {
    "head_roles": [head | {"role": role} for head, role in zip(HEADS, ["none", "induction"] * 2, strict=True)],
    "role_coverage": [
        head | {"role": "induction", "eval_set": "text", "share": 0.75, "above_lo": lo}
        for head, lo in zip(HEADS, (0.5, -0.1, 0.5, 0.5), strict=True)
    ],
    "claims": [{"experiment": "base", "claim": name, "verdict": "reproduced"} for name in ("induction", "copying")],
    "validity": [
        {"experiment": "base", **COPYING, "effect": "mean", "effect_set": where, "token_class": "all"}
        | {"statistic": "auroc", "value": value, "control_hi": 0.6, "q": 0.01, "significance": 0.05}
        for where, value in (("text", 0.9), ("repeated_text", 0.5))
    ],
    "edges": [
        EDGE
        | {"src_head": head, "kind": "K", "eval_set": "repeated_text", "token_class": "second_copy"}
        | {"difference": 0.1 + head}
        for head in (0, 1)
    ],
    "head_pairs": [
        EDGE | {"src_head": head, "metric": "K_composition", "definition": "above_chance", "eval_set": "weights"}
        for head in (0, 1)
    ],
    "head_scores": [head | COPYING | {"value": 0.5, "z": place} for place, head in enumerate(HEADS)],
    "vocab_pairs": [
        head | {"circuit": "OV", "end": "top", "rank": 0, "row_token": f"of {place}", "column_token": "dog"}
        for place, head in enumerate(HEADS)
    ],
    "checkpoint_scores": [head | COPYING | {"step": step, "value": 0.1} for head in HEADS for step in (0, 10)],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    of_a_run = {table.name for tables in OF_A_RUN.values() for table in tables}
    for name, rows in ROWS.items():
        table = TABLES[name].with_run() if name in of_a_run else TABLES[name]
        write(table, filled(table, rows), Paths([folder / f"{name}.parquet"]))
    return folder


def test_every_question_of_the_notebook_is_answered(study, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_STUDY", str(study))
    notebook = nbformat.read(ROOT / "notebooks/explore.ipynb", 4)
    assert len([cell for cell in notebook.cells if re.match(r"## \d\.", cell.source)]) == 6
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    answers = [output["data"] for output in outputs if "data" in output]
    assert len(answers) == 7
    roles, covered, claims, foretold, edges, pairs, course = (answer["text/plain"] for answer in answers)
    assert roles.count("induction") == 2
    assert "shape: (1, 10)" in covered  # of two heads of this role, one lies above chance
    assert re.search(r"base\s+reproduced\s+2\b", claims)
    assert foretold.count("copying") == 1
    assert re.search(r"0\.1\s+1\.0\s+1\.1", edges.splitlines()[1])  # the strongest first
    assert "of 3" in pairs
    assert "Figure" in course


def test_the_recipes_read_a_table(study):
    page = (ROOT / "docs/recipes.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].replace("results/studies/smoke", str(study))
    names = {}
    *set_up, first, second, third = ast.parse(code).body
    exec(compile(ast.Module(set_up, []), "recipes", "exec"), names)
    scores, roles, claims = (eval(ast.unparse(question), names) for question in (first, second, third))
    assert len(scores) == 0  # of induction
    assert sorted(roles.rows()) == [("base", "induction", 2), ("base", "none", 2)]
    assert set(claims["claim"]) == {"induction", "copying"}
