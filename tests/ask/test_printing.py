import io
import json

import pandas as pd
import pytest
from rich.console import Console
from rich.text import Text

from pipeline.ask.printing import Screen, Section, as_json, give, number, save_parquet, visible

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\u202eright",
    "[bold]x[/bold]",
    "<script>",
    "a\nb",
    "\x07",
    "\u200b",
    "\ud7ff\ue000",
    "Ġok",
]


def screen(terminal=False, width=100):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system="truecolor", markup=False)
    return Screen(console), console.file


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("terminal", [True, False])
def test_a_token_is_text_whatever_it_holds(token, terminal):
    shown, file = screen(terminal)
    shown.show(Section("T", pd.DataFrame({"token": [token], "value": [0.5]})))
    written = file.getvalue()
    ours = written.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert visible(token) in ours
    assert not set(ours) & {"\x1b", "\x07", "\u202e", "\u200b"}
    assert ours.count("\n") == written.count("\n") == 4


def test_hidden_characters_are_told_by_their_number():
    assert visible("a\u202eb\n") == "a<U+202E>b<U+000A>"
    assert visible(" Ġé漢") == " Ġé漢"


def test_numbers_have_four_digits_and_nothing_is_a_dash():
    assert [number(value) for value in (1 / 3, -0.0, 123456.0, 7, None, float("nan"), pd.NA, True)] == [
        *("0.3333", "0", "1.235e+05", "7", "-", "-", "-", "yes")
    ]


def test_plain_text_has_no_colours_nor_spaces_at_ends_and_loses_nothing():
    shown, file = screen()
    long = "x" * 300
    shown.show(Section("T", pd.DataFrame({"token": [long, "y"], "b": ["1", ""]}), note="a note"))
    lines = file.getvalue().split("\n")
    assert lines[:2] == ["", "T"]
    assert lines[3].startswith(long)
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in file.getvalue()


def test_what_only_colours_say_is_left_out_of_plain_text():
    section = Section("C", pd.DataFrame(), Text("x", style="red"), coloured=True)
    plain, coloured = screen(), screen(terminal=True)
    for shown, _ in (plain, coloured):
        shown.show(section)
    assert plain[1].getvalue() == ""
    assert "\x1b[31mx" in coloured[1].getvalue()


def test_a_terminal_shows_no_line_beyond_its_width():
    shown, file = screen(terminal=True, width=40)
    shown.show(Section("T", pd.DataFrame({"token": ["w" * 90], "value": [1.0]})))
    assert max(len(line) for line in Text.from_ansi(file.getvalue()).plain.split("\n")) <= 40


def test_scripts_get_every_row_of_every_section():
    sections = [Section("A b: c", pd.DataFrame({"x": [1, 2]})), Section("D", pd.DataFrame({"y": ["\x1b"]}))]
    answer = as_json({"model": "m"}, sections)
    assert json.loads(answer) == {"model": "m", "a_b": [{"x": 1}, {"x": 2}], "d": [{"y": "\x1b"}]}
    assert answer.isascii()


def test_parquet_says_which_section_a_row_is_of(tmp_path):
    sections = [Section("A", pd.DataFrame({"x": [1, 2]})), Section("B", pd.DataFrame({"y": [3]}))]
    save_parquet(sections[:1], tmp_path / "one.parquet")
    save_parquet(sections, tmp_path / "both.parquet")
    assert pd.read_parquet(tmp_path / "one.parquet").columns.tolist() == ["x"]
    assert pd.read_parquet(tmp_path / "both.parquet")["section"].tolist() == ["a", "a", "b"]
    with pytest.raises(ValueError, match="cannot be written"):
        save_parquet(sections, tmp_path / "no/such/folder.parquet")


def test_sections_are_shown_as_they_come(capsys, tmp_path):
    shown, file = screen()
    seen = []

    def sections():
        for title in "AB":
            seen.append(file.getvalue())
            yield Section(title, pd.DataFrame({"x": [1]}))

    give({"model": "m"}, sections(), shown, True, tmp_path / "kept.parquet")
    assert seen == ["m\n", "m\n\nA\nx\n1\n"]
    assert len(pd.read_parquet(tmp_path / "kept.parquet")) == 2
    give({"model": "m"}, iter([Section("A", pd.DataFrame({"x": [1]}))]), shown, False, None)
    assert json.loads(capsys.readouterr().out)["a"] == [{"x": 1}]
