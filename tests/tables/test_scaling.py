from pipeline.tables.scaling import SCALING, SCALING_FITS, SCALING_FORETOLD

AT = {"stage": "train", "V": 50, "layers": 2, "heads": 4, "d_model": 8, "context": 16, "runs": 1, "cpu_seconds": 0.0}


def test_a_stage_has_a_row_for_each_size(kept, refusal):
    rows = kept(SCALING, AT, AT | {"V": 100, "cpu_seconds": 2.5})
    assert rows["cpu_seconds"].tolist() == [0, 2.5]
    assert "two rows share the key" in refusal(SCALING, AT, AT)
    assert refusal(SCALING, AT | {"cpu_seconds": -1.0}) == "column cpu_seconds: -1.0 is below 0"


def test_an_exponent_may_be_below_0_and_a_cost_may_not(kept, refusal):
    fit = {"stage": "train", "cost": "cpu_seconds", "axis": "V", "exponent": -0.5}
    assert kept(SCALING_FITS, fit, fit | {"axis": "layers"})["exponent"].tolist() == [-0.5, -0.5]
    foretold = AT | {"model": "large", "cost": "cpu_seconds", "value": 3.0}
    assert kept(SCALING_FORETOLD, foretold)["measured"].isna().all()
    assert refusal(SCALING_FORETOLD, foretold | {"value": -3.0}) == "column value: -3.0 is below 0"
