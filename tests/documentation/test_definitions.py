from pathlib import Path

import pandas as pd
import pytest

from pipeline.documentation.definitions import definitions, main

ROOT = Path(__file__).parents[2]
ROW = {
    "metric": "copying",
    "measured_on": "one_period",
    "threshold": 0.4,
    "threshold_from": "published",
    "threshold_at_level": 0.3,
    "level": 0.05,
    "power": 0.75,
    "false_positives": 0.0,
    "false_discoveries": 0.125,
    "power_at_level": 0.5,
    "power_at_level_lo": 0.4,
    "power_at_level_hi": 0.6,
}


@pytest.fixture
def table():
    rows = [
        ROW
        | {"definition": definition, "kind": kind, "auc": area, "auc_lo": 0.6, "auc_hi": 0.95, "sentences_for_auc": n}
        for definition, n in (("top1", None), ("olsson", 4))
        for kind, area in (("all", 0.9 if n else 0.8), ("wired", 0.85), ("look_alike", 0.7))
    ]
    return pd.DataFrame(rows)  # as read from a file: numbers that may be null are floats


def test_the_best_comes_first_with_its_numbers(table):
    header, _, first, second = definitions(table, only_best=False).splitlines()
    assert "power at 5% false positives" in header
    assert first == (
        "| copying | `olsson` | one period | 0.900 [0.600, 0.950] | 0.700, look-alike | 0.50 [0.40, 0.60] | 0.3 | "
        "0.4, published | 0.75 | 0.12 | 4 |"
    )
    assert second.startswith("| copying | `top1`")
    assert second.endswith("| 0.12 |  |")
    assert definitions(table, only_best=True).splitlines()[2:] == [first]


def test_the_command_prints_it_or_says_what_to_do(table, tmp_path, capsys):
    table.to_parquet(tmp_path / "definition_power.parquet")
    main([str(tmp_path / "definition_power.parquet"), "--best"])
    assert capsys.readouterr().out == definitions(table, only_best=True)
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.parquet")])
    assert "study=known_answers" in capsys.readouterr().err


def test_the_readme_shows_what_all_of_them_begin_with():
    """The header, and of every function the first row."""
    header, line, *rows = (ROOT / "docs/definitions.md").read_text().splitlines()
    first = {row.split("|")[1]: row for row in reversed(rows)}
    shown = "\n".join([header, line, *sorted(first.values())])
    assert len(first) == 3
    assert f"\n{shown}\n\n" in (ROOT / "README.md").read_text()
