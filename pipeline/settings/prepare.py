"""Settings of the prepare stage: which text, and how it becomes tokens."""

import glob
from difflib import get_close_matches
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.settings.base import Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    tables=("corpus",),
    files=("tokenizer.json", "tokens", "vocabulary"),
)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model")
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _installed(packages: tuple[str, ...]) -> tuple[str, ...]:
    for package in packages:
        if package != "python" and not list(distributions(name=package)):
            installed = sorted(distribution.name for distribution in distributions())
            close = get_close_matches(package, installed, n=1)
            hint = f"; did you mean {close[0]}?" if close else "; install it, or leave it out"
            raise ValueError(f"{package}: no such package is installed{hint}")
    return packages


Packages = Annotated[tuple[str, ...], AfterValidator(_installed)]


class PythonDocs(Slice):
    """Docstrings of the standard library and of installed packages."""

    kind: Literal["python_docs"]
    packages: Packages = Field(min_length=1)
    min_characters: int = Field(ge=1)
    heldout_fraction: Fraction


class TextFiles(Slice):
    """A person's own files."""

    kind: Literal["text_files"]
    paths: tuple[str, ...] = Field(min_length=1)
    document_characters: int = Field(ge=1)
    heldout_fraction: Fraction


class HubText(Slice):
    """A dataset on the Hugging Face hub."""

    kind: Literal["hub_text"]
    name: str
    configuration: str | None
    split: str
    column: str
    documents: int = Field(ge=2)
    heldout_fraction: Fraction


class RandomTokens(Slice):
    """Uniformly random tokens: nothing to learn but repetition, which training adds."""

    kind: Literal["repeated_tokens"]
    documents: int = Field(ge=2)
    document_tokens: int = Field(ge=1)
    seed: int = Field(ge=0)
    heldout_fraction: Fraction


class TrainedTokenizer(Slice):
    """Byte-level BPE, trained on the text."""

    kind: Literal["trained"]
    d_vocab: int = Field(ge=259)


class HubTokenizer(Slice):
    """A tokenizer of the transformers library."""

    kind: Literal["hub"]
    name: str
    add_begin_and_end: bool

    @field_validator("name")
    @classmethod
    def _holds_one(cls, name: str) -> str:
        if Path(name).is_dir() and not any(next(Path(name).glob(pattern), None) for pattern in TOKENIZER_FILES):
            raise ValueError(
                f"tokenizer.name={name} holds no tokenizer; name another folder or one on the hub, or do without: "
                "tokenizer=none tokenizer.d_vocab=null data=repeated_tokens"
            )
        return name


class NoTokenizer(Slice):
    """No text: tokens are ids; as many as asked for, or (null) as the obtained model knows."""

    kind: Literal["none"]
    d_vocab: int | None = Field(ge=4)


class PrepareSettings(StageSettings):
    """Which text, and how it becomes tokens."""

    data: Annotated[PythonDocs | TextFiles | HubText | RandomTokens, Field(discriminator="kind")]
    tokenizer: Annotated[TrainedTokenizer | HubTokenizer | NoTokenizer, Field(discriminator="kind")]
    other: Packages
    model_path: str | None  # of an obtained model, whose vocabulary may be asked for

    @model_validator(mode="after")
    def _somebody_knows_the_vocabulary(self) -> Self:
        if self.tokenizer.kind == "none" and self.tokenizer.d_vocab is None and self.model_path is None:
            raise ValueError(
                "tokenizer.d_vocab=null is an obtained model's vocabulary; a model trained here needs a number"
            )
        return self

    @model_validator(mode="after")
    def _tokens_or_text(self) -> Self:
        if (self.data.kind == "repeated_tokens") != (self.tokenizer.kind == "none"):
            raise ValueError(
                f"data={self.data.kind} with tokenizer={self.tokenizer.kind}: "
                "data=repeated_tokens needs tokenizer=none, and text needs another tokenizer"
            )
        return self

    def files(self) -> list[str]:
        """A person's text files, and their tokenizer's if it is a folder."""
        files = []
        if isinstance(self.data, TextFiles):
            for pattern in self.data.paths:
                files += sorted(glob.glob(pattern, recursive=True)) or [pattern]
        if isinstance(self.tokenizer, HubTokenizer) and Path(self.tokenizer.name).is_dir():
            folder = Path(self.tokenizer.name)
            files += [str(file) for pattern in TOKENIZER_FILES for file in sorted(folder.glob(pattern))]
        takes_its_vocabulary = self.tokenizer.kind == "none" and self.tokenizer.d_vocab is None
        if takes_its_vocabulary and self.model_path is not None and Path(self.model_path).is_file():
            files.append(self.model_path)
        return [file for file in files if not Path(file).is_dir()]
