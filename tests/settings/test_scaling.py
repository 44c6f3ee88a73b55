import json

import pytest

from pipeline.plumbing import graph
from pipeline.plumbing.planner import plan
from pipeline.settings.scaling import MEASURED, ScalingSettings


def test_every_stage_of_a_run_and_of_a_study_is_measured():
    assert {stage for stage, declared in graph.STAGES.items() if declared.of != "apart"} == set(MEASURED)


def test_conf_has_four_sizes_on_each_axis_and_holds_none_of_them_out():
    settings = ScalingSettings.parse(json.loads(plan({"study": "smoke"}).study_jobs["scaling"].spec)["settings"])
    for axis, sizes in settings.axes:
        base, held_out = getattr(settings.base, axis), getattr(settings.held_out, axis)
        assert len({base, *sizes}) >= 4
        assert held_out not in {base, *sizes} or axis in ("layers", "heads", "runs")
    assert settings.held_out.d_model % settings.held_out.heads == 0
    with pytest.raises(ValueError, match="context"):
        ScalingSettings.parse(settings.model_dump() | {"base": settings.base.model_dump() | {"context": 3}})
