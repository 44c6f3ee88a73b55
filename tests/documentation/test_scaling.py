import pandas as pd
import pytest

from pipeline.documentation.scaling import exponents, held_out, larger, longest, main
from pipeline.tables.scaling import SCALING, SCALING_FITS, SCALING_FORETOLD

SIZES = {"V": 10, "layers": 4, "heads": 2, "d_model": 8, "context": 16, "runs": 1}
COSTS = {"cpu_seconds": 2.0, "peak_bytes": 3_000_000, "stored_bytes": 4_000_000}
ENDS = {"lo": 1800.0, "hi": 7200.0}


@pytest.fixture
def measured():
    rows = [SIZES | COSTS | {"stage": "train", "V": V, "cpu_seconds": V / 5} for V in (10, 20)]
    return pd.DataFrame([*rows, SIZES | COSTS | {"stage": "judge"}])


@pytest.fixture
def fits():
    row = {"exponent": 1.0, "lo": 0.9, "hi": 1.1}
    rows = [{"stage": stage, "axis": axis} for stage, axis in (("train", "V"), ("judge", "V"), ("judge", "runs"))]
    return pd.DataFrame([each | row | {"cost": cost} for each in rows for cost in COSTS])


@pytest.fixture
def foretold():
    rows = [
        SIZES
        | ENDS
        | {"model": model, "stage": stage, "cost": cost, "value": 3600.0, "measured": known, "floor": floor}
        for model, known in (("held_out", 5400.0), ("large", None))
        for stage, floor in (("extract", 1800.0), ("project", None))
        for cost in COSTS
    ]
    return pd.DataFrame(rows)


def test_exponents_stand_beside_the_cost_at_the_base(measured, fits):
    lines = exponents(measured, fits).splitlines()
    assert lines[0] == "| CPU s | at the base | V | layers | heads | d_model | context | runs |"
    assert lines[2] == "| `train` | 2 | 1.00 ± 0.10 |  |  |  |  |  |"
    assert lines[3] == "| `judge` | 2 | 1.00 ± 0.10 |  |  |  |  | 1.00 ± 0.10 |"
    assert "| `train` | 3 | 1.00 ± 0.10 |  |  |  |  |  |" in lines


def test_what_was_held_out_stands_beside_what_was_foretold(foretold):
    first = held_out(foretold).splitlines()[2]
    assert first.startswith("| `extract` | 3.6e+03 [1.8e+03, 7.2e+03], **5.4e+03** |")


def test_larger_models_take_all_stages_on_one_core_and_a_chain_of_them_on_many(foretold):
    """Two hours in all; of `project`, four layers share one of them."""
    (row,) = larger(foretold).splitlines()[2:]
    assert row.startswith("| large | 2 [1, 4] | 1.2 | ")
    assert "0.5 h (`ablate`)" in row


def test_stages_that_wait_for_no_other_run_beside_each_other():
    seconds = {"train": 10.0, "extract": 1.0, "score": 5.0, "challenge": 7.0, "judge": 2.0, "summarise": 1.0}
    assert longest(seconds, 2) == 10 + 1 + 7 + 1 + 2


def test_the_command_prints_all_or_says_what_to_do(measured, fits, foretold, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "make it by snakemake scaling" in capsys.readouterr().err
    for table, rows in ((SCALING, measured), (SCALING_FITS, fits), (SCALING_FORETOLD, foretold)):
        rows.to_parquet(tmp_path / f"{table.name}.parquet")
    main([str(tmp_path)])
    assert capsys.readouterr().out.count("\n| ---") == 5
