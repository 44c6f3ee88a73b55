"""List every file of a study with a digest of what must be the same wherever the study is made."""

import pandas as pd

from pipeline.plumbing.artefacts import Paths, write
from pipeline.plumbing.content import rows_of
from pipeline.plumbing.stage import main
from pipeline.settings.manifest import ManifestSettings
from pipeline.tables.manifest import MANIFEST


def run(settings: ManifestSettings, inputs: Paths, outputs: Paths) -> None:
    """Digest every file once, however many runs share it."""
    runs = [(member.experiment, member.seed, member.ids) for member in settings.runs]
    write(MANIFEST, pd.DataFrame(rows_of(inputs.files, runs)), outputs)


if __name__ == "__main__":
    main(ManifestSettings, run)
