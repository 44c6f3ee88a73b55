from dataclasses import FrozenInstanceError

import pytest

from pipeline.settings.stage import Stage


def test_a_stage_reads_and_writes_nothing_but_what_it_says():
    stage = Stage(of="run")
    assert dict(stage.reads) == {}
    assert (stage.tables, stage.files, stage.by_name, stage.gated) == ((), (), (), False)


def test_what_a_stage_is_nobody_changes():
    stage = Stage(of="apart", tables=("benchmark",))
    with pytest.raises(FrozenInstanceError):
        stage.gated = True
    with pytest.raises(TypeError):  # else what one stage reads, all would that say nothing
        stage.reads["train"] = ("config.json",)
