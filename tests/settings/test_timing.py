def test_its_figure_is_as_fine_as_those_of_a_study(accepted, refusal):
    for dpi in (30, 600):
        assert accepted("timing", dpi=dpi).dpi == dpi
        assert accepted("render", dpi=dpi).dpi == dpi
    assert refusal("timing", dpi=29).startswith("timing.dpi=29: input should be greater than or equal to 30")
    assert refusal("timing", dpi=601).startswith("timing.dpi=601: input should be less than or equal to 600")
