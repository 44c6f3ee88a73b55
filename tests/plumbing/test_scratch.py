from pipeline.plumbing.scratch import Scratch


def test_any_name_has_a_place_and_is_remembered(tmp_path):
    scratch = Scratch(tmp_path / "new", "spec")
    assert scratch.file("a.parquet") == tmp_path / "new/a.parquet"
    assert scratch.file("figures/b.png") == tmp_path / "new/figures/b.png"
    assert scratch.files == [tmp_path / "new/a.parquet", tmp_path / "new/figures/b.png"]
    assert scratch.provenance == "spec"
    assert not (tmp_path / "new").exists()
