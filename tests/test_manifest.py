import json

import pandas as pd

from pipeline import manifest
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.content import content_of
from pipeline.settings.manifest import ManifestSettings
from pipeline.tables.manifest import MANIFEST
from pipeline.tables.prepare import CORPUS


def test_every_file_is_there_with_its_digest(tmp_path):
    job, study = f"results/store/prepare/{'a' * 12}", "results/studies/mine"
    inputs = []
    for folder, table in ((job, CORPUS), (study, CORPUS.with_run())):
        spec = json.dumps({"versions": {}, "job": folder})
        inputs.append(tmp_path / folder / "corpus.parquet")
        write(table, pd.DataFrame(columns=table.names), Paths(inputs[-1:], spec))
    runs = [{"experiment": "base", "seed": seed, "ids": {"prepare": "a" * 12}} for seed in (0, 1)]
    outputs = Paths([tmp_path / study / "manifest.parquet"], json.dumps({"job": study}))
    manifest.run(ManifestSettings.parse({"threads": 1, "runs": runs}), Paths(inputs), outputs)
    rows = read(MANIFEST, outputs)
    assert rows["stage"].tolist() == ["summarise", "prepare", "prepare"]
    assert rows["digest"].tolist() == [content_of(inputs[place]) for place in (1, 0, 0)]
