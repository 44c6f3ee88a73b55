from pipeline.tables.manifest import MANIFEST

FILE = {"experiment": "base", "seed": 0, "stage": "train", "file": "config.json", "job": "0a", "digest": "1b"}


def test_a_file_is_a_runs_or_the_studys(kept, refusal):
    of_the_study = FILE | {"experiment": None, "seed": None, "stage": "judge", "file": "claims.parquet", "job": None}
    rows = kept(MANIFEST, FILE, FILE | {"seed": 1}, of_the_study)
    assert rows["file"].tolist() == ["claims.parquet", "config.json", "config.json"]  # the study's first
    assert rows["job"].isna().tolist() == [True, False, False]
    assert "two rows share the key" in refusal(MANIFEST, FILE, FILE | {"digest": "2c"})
    assert "digest: string not null" in refusal(MANIFEST, FILE, FILE | {"seed": 1, "digest": None})
