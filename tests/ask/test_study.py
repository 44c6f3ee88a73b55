import pytest

from pipeline.ask.study import is_study, run_named, study_in, table_section


def test_tables_are_attributes_and_read_once(made):
    study = study_in(made.study)
    assert study.tables == ["attention_terms", "head_scores", "runs"]
    assert len(study.head_scores) == len(made.tables["head_scores"])
    assert study.head_scores is study.head_scores
    with pytest.raises(AttributeError, match="has no table head_score; did you mean head_scores"):
        study.head_score  # noqa: B018


def test_a_damaged_table_is_not_read(made, tmp_path):
    for name in ("runs", "head_scores"):
        content = bytearray((made.study / f"{name}.parquet").read_bytes())
        content[100] ^= name == "head_scores"
        (tmp_path / f"{name}.parquet").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        study_in(tmp_path).table("head_scores")


def test_a_run_is_found_by_experiment_and_seed(made):
    name = str(made.study)
    assert [run_named(f"{name}{rest}").ids["train"] for rest in ("", ":base", ":base/0")] == ["aa"] * 3
    assert run_named(name).folder("train") == made.folder
    assert run_named(name).settings["project"]["pairs"] == 6
    assert run_named("gpt2") is None
    assert is_study(name)
    assert not is_study("gpt2")


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (":bse", "no experiment bse; did you mean base"),
        (":base/1", "has no seed 1; it has 0"),
        (":base/x", "is no seed"),
    ],
)
def test_a_run_that_is_not_there_is_said_in_one_line(made, rest, told):
    with pytest.raises(ValueError, match=told):
        run_named(f"{made.study}{rest}")


def test_no_study_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="no study there"):
        study_in(tmp_path)


def test_rows_of_a_run_have_the_columns_of_its_stage(made):
    run = run_named(str(made.study))
    rows = run.rows("head_scores", layer=1, head=0)
    assert set(rows["layer"]) == {1}
    assert set(rows["head"]) == {0}
    assert "experiment" not in rows
    assert run.rows("head_roles").empty


def test_a_table_is_chosen_sorted_and_cut(made):
    study = study_in(made.study)
    section = table_section(study, "head_scores", "metric = copying", "definition, value", "value", 2)
    assert section.shown.columns.tolist() == ["definition", "value"]
    assert len(section.shown) == 2
    assert section.frame["value"].dropna().is_monotonic_decreasing
    assert section.note == f"2 of {(made.tables['head_scores']['metric'] == 'copying').sum()} rows"
    assert len(table_section(study, "head_scores", "", "", "", 0).shown) == len(study.head_scores)
    with pytest.raises(ValueError, match="has no column valu; did you mean value"):
        table_section(study, "head_scores", "", "", "valu", 0)
