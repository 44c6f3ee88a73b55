import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import pipeline as headscope

ROOT = Path(__file__).resolve().parents[1]


def test_importing_it_is_light():
    code = "import sys, pipeline; print(sorted({'torch', 'pandas', 'numpy', 'pipeline.ask'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout == "[]\n"


def test_a_study_that_is_not_there_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="no study there"):
        headscope.study(tmp_path)


def test_the_lines_of_the_readme_run(save):
    page = (ROOT / "README.md").read_text()
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "headscope.load" in block]
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) == 8
    folder, _ = save("gpt2", shape={"n_layer": 10, "n_head": 12, "n_embd": 24})
    study = "results/studies/paper"
    code = block.replace('"gpt2"', repr(str(folder))).replace('"We dog"', '"3 4"')
    given = {}

    class Table:
        head_scores = pd.DataFrame({"layer": [0]})

    code = code.replace(f'headscope.study("{study}")', "study")
    exec(code, given | {"study": Table()}, given)
    kinds = {type(value) for value in given.values()}
    assert {pd.DataFrame, torch.Tensor} <= kinds
