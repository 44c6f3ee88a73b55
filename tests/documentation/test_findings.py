from pathlib import Path

import pandas as pd
import pytest

from pipeline.documentation.findings import KEPT, claims_in, findings, main, verdicts

ROOT = Path(__file__).parents[2]


def claims(**verdicts):
    """Two claims of base: one with every number, one with none."""
    rows = [
        ("base", "induction", "There is one", 0.75, 0.7, 0.8, 0.95, 0.01, 0.02, 0.6, "2026-11-21", 0.1, 1e-4, 2e-4, 8),
        ("base", "copying", "It copies", *[None] * 3, 0.95, None, None, 0.5, "2026-11-21", *[None] * 3, 0),
    ]
    names = [name for name in KEPT if name != "verdict"]
    frame = pd.DataFrame(rows, columns=names)
    known = {"induction": "reproduced", "copying": "not applicable"} | verdicts
    return frame.assign(verdict=frame["claim"].map(known))


def test_the_table_has_every_number_that_is_known():
    lines = findings(claims(), "base").splitlines()
    assert lines[0].startswith("| claim | mean over 8 seeds [95% interval] |")
    assert lines[2] == "| There is one | 0.75 [0.7, 0.8] | ± 0.01 | 0.6 | 0.02 | 0.1 | 0.0002 | reproduced |"
    assert lines[3] == "| It copies |  |  | 0.5 |  |  |  | not applicable |"
    assert "It copies" not in findings(claims(copying="not measured"), "base")
    assert len({line.count("|") for line in lines}) == 1


def test_verdicts_that_differ_are_named_and_counted():
    assert verdicts(claims(), claims(induction="undecided")) == (
        "base induction: reproduced (0.75), there undecided (0.75)\n"
        "1 of 2 verdicts differ; of 1 reproduced ones, 1 are not there\n",
        False,
    )
    assert verdicts(claims(), claims()) == ("0 of 2 verdicts differ; of 1 reproduced ones, 0 are not there\n", True)


def test_experiments_of_one_study_alone_are_named_and_not_compared():
    more = pd.concat([claims(), claims(induction="undecided").assign(experiment="tied")])
    for here, there, where in ((more, claims(), "here"), (claims(), more, "there")):
        told, agree = verdicts(here, there)
        assert told.startswith(f"experiments only {where}, which are not compared: tied\n0 of 2 verdicts differ")
        assert agree
    assert verdicts(claims(), claims().assign(experiment="tied"))[1] is False  # nothing was compared


def test_a_claim_that_one_study_did_not_judge_differs():
    told, agree = verdicts(claims(), claims()[1:])
    assert "base induction: reproduced (0.75), there not measured ()\n1 of 2" in told
    assert not agree
    assert verdicts(claims(induction="not measured"), claims()[1:])[1]  # one that did not know the claim


def test_csv_and_parquet_say_the_same(tmp_path, capsys):
    claims().to_parquet(tmp_path / "claims.parquet")
    main([str(tmp_path / "claims.parquet"), "--csv"])
    (tmp_path / "claims.csv").write_text(capsys.readouterr().out)
    tables = [findings(claims_in(tmp_path / f"claims.{kind}"), "base") for kind in ("csv", "parquet")]
    assert tables[0] == tables[1]


def test_a_table_that_is_not_there_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["nowhere.parquet"])
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("nowhere.parquet: no such file; make the study first, or name its claims.parquet")
    )


def test_the_readme_shows_what_the_code_prints():
    assert findings(claims_in(ROOT / "docs" / "claims.csv"), "base") in (ROOT / "README.md").read_text(encoding="utf-8")
