import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.ask import __main__ as command

ROOT = Path(__file__).resolve().parents[2]
DEMO = " We dog eating ice cream"


@pytest.fixture
def ask(monkeypatch, capsys):
    def run(*arguments):
        """Return the exit status or the one line of a mistake, and what was printed."""
        monkeypatch.setattr(sys, "argv", ["headscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("head", "MODEL", "1.0", "-k", "3"),
        ("pairs", "MODEL", "1.0", "QK", "--filters", "only_ascii,exclude_same", "--distance", "1", "-k", "2"),
        ("attend", "MODEL", "1.0", DEMO, "--query", "2"),
        ("attend", "MODEL", "1.0", "--fine"),
        ("terms", "MODEL", "0.1"),
        ("virtual", "MODEL", "0.1", "1.0", DEMO),
        ("direction", "MODEL", "1.0", "OV", "1", "-k", "2"),
        ("dimension", "MODEL", "1.0", "2", "-k", "2"),
        ("logits", "MODEL", " We dog", "--answer", "t", "--against", "e"),
        ("table", "STUDY"),
        ("table", "STUDY", "head_scores", "--where", "layer = 1", "--columns", "value", "--by", "value"),
        ("compare", "MODEL", "MODEL"),
        ("compare", "MODEL", "MODEL", "--head", "1.0", "--with", "0.1", "-k", "2", "--filters", "only_ascii"),
    ],
    ids=" ".join,
)
def test_every_command_answers_in_text_json_and_parquet(ask, made, tmp_path, arguments):
    arguments = [{"MODEL": f"{made.study}:base/0", "STUDY": made.study}.get(each, each) for each in arguments]
    status, text = ask(*arguments)
    assert status == 0
    assert len(text.splitlines()) > 3
    assert "\x1b" not in text
    status, answer = ask(*arguments, "--json", "--parquet", tmp_path / "answer.parquet")
    assert status == 0
    assert any(isinstance(value, list) and value for value in json.loads(answer).values())
    assert len(pd.read_parquet(tmp_path / "answer.parquet"))


def test_nothing_is_said_before_it_is_said_how_it_was_verified(ask, made):
    _, text = ask("attend", made.folder, "0.0", DEMO)
    assert text.splitlines()[1].startswith("verified against its own forward pass on 8 tokens: 8 checks")


def test_attention_is_written_as_a_page_and_a_picture(ask, made, tmp_path):
    page, picture = tmp_path / "a.html", tmp_path / "a.png"
    assert ask("attend", made.folder, "0.0", DEMO, "--html", page, "--png", picture)[0] == 0
    assert page.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nosuch",), "No such command 'nosuch'."),
        (("head",), "Missing argument 'MODEL'."),
        (("head", "nosuch", "0.0"), "nosuch: no such folder, and not in the hub's cache"),
        (("head", "MODEL", "9.9"), "9.9: no such head"),
        (("pairs", "MODEL", "0.0", "OV", "-k", "0"), "Invalid value for '-k'"),
        (("pairs", "MODEL", "0.0", "OV", "--filters", "only_latin"), "only_latin"),
        (("compare", "MODEL", "MODEL", "--with", "0.1"), "add --head LAYER.HEAD"),
        (("neuron", "MODEL", "0.0"), "has no feed-forward parts"),
        (("table", "STUDY", "head_score"), "did you mean head_scores"),
        (("table", "STUDY", "head_scores", "--where", "layer >"), "ends where a value should come"),
        (("claims", "nosuch"), "nosuch: no study there"),
        (("attend", "MODEL", "0.0", DEMO, "--png", "/tmp/nosuch/x.gif"), "ends in .svg or .png"),
        (("attend", "MODEL", "0.0", DEMO, "--html", "/nosuch/x.html"), "/nosuch/x.html: No such file"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(ask, made, arguments, told):
    said, _ = ask(*[{"MODEL": made.folder, "STUDY": made.study}.get(each, each) for each in arguments])
    assert said.startswith("headscope: ")
    assert told in said
    assert "\n" not in said


def test_commands_that_make_studies_are_handed_their_arguments(ask, monkeypatch, tmp_path):
    from pipeline.plumbing import audit
    from pipeline.plumbing import command as request

    given = []
    monkeypatch.setattr(request, "main", lambda arguments: given.append(arguments) or 3)
    assert ask("run", "name=x", "model.n_heads=8", "-n", "--help")[0] == 3
    assert given == [["name=x", "model.n_heads=8", "-n", "--help"]]
    (tmp_path / "results").mkdir()
    assert ask("audit", tmp_path) == (0, "0 findings in 0 studies\n")
    assert ask("gc", tmp_path)[0] == 0
    monkeypatch.setattr(audit, "main", lambda arguments: 1)
    assert ask("audit")[0] == 1


def test_help_needs_neither_torch_nor_pandas():
    code = (
        "import sys; sys.argv = ['headscope', '--help']\n"
        "from pipeline.ask.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "print(sorted({'torch', 'pandas', 'transformers', 'matplotlib', 'hydra'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.endswith("[]\n")
    assert "attend" in ended.stdout
