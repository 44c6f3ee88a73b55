"""Outputs that no rule declares: any name, in one folder."""

from pathlib import Path

from pipeline.plumbing.artefacts import Paths


class Scratch(Paths):
    """What a stage writes where nothing was promised."""

    def __init__(self, folder: Path, provenance: str) -> None:
        """Take the folder; it is made when the first file is written."""
        super().__init__([], provenance)
        self.folder = folder

    def file(self, name: str) -> Path:
        """Return the name's place in the folder."""
        path = self.folder / name
        self.files.append(path)
        return path
