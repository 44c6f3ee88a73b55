"""Settings of the prepare stage: which text, and how it becomes tokens."""

import codecs
import glob
import os
import re
from difflib import get_close_matches
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.settings.base import Count, Fraction, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    tables=("corpus", "vocabulary"),
    files=("tokenizer.json", "tokens"),
)

MOST_FILES = 20_000  # below what a glob with several wildcards starts from
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model")


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
    min_characters: Count
    heldout_fraction: Fraction


class TextFiles(Slice):
    """A person's own files."""

    kind: Literal["text_files"]
    paths: tuple[str, ...] = Field(min_length=1)
    document_characters: Count
    heldout_fraction: Fraction

    @model_validator(mode="after")
    def _are_text(self) -> Self:
        files = [file for path in self.paths for file in _matches(path) if Path(file).exists()]
        once: dict[Path, str] = {}
        for file in files:
            if once.setdefault(Path(file).resolve(), file) != file or files.count(file) > 1:
                raise ValueError(f"data.paths={file}: is there twice; give it once")
            if fault := _no_text(Path(file)):
                raise ValueError(f"data.paths={file}: {fault}")
        size = [Path(file).stat().st_size for file in files]
        if files and sum(-(-each // self.document_characters) for each in size) < 2:
            raise ValueError(
                f"data.paths={list(self.paths)}: {sum(size)} bytes are one document of document_characters="
                f"{self.document_characters}; training and measuring need one each: bring more text"
            )
        return self


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
    document_tokens: Count
    seed: Seed
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
            files += [file for pattern in self.data.paths for file in _matches(pattern)]
        if isinstance(self.tokenizer, HubTokenizer) and Path(self.tokenizer.name).is_dir():
            folder = Path(self.tokenizer.name)
            files += [str(file) for pattern in TOKENIZER_FILES for file in sorted(folder.glob(pattern))]
        takes_its_vocabulary = self.tokenizer.kind == "none" and self.tokenizer.d_vocab is None
        if takes_its_vocabulary and self.model_path is not None and Path(self.model_path).is_file():
            files.append(self.model_path)
        return files


def _matches(pattern: str) -> list[str]:
    """Return the files that a path or glob names, sorted; the pattern itself if there are none.

    Raises:
        ValueError: it names folders alone, or so many files that it cannot be meant.
    """
    root = re.split(r"[*?[]", pattern)[0].rpartition("/")[0] or ("/" if pattern.startswith("/") else ".")
    below = 0
    for _, _, names in os.walk(root) if len(re.findall(r"[*?[]", pattern)) > 1 else ():
        below += 1 + len(names)
        if below > MOST_FILES:
            raise ValueError(f"data.paths={pattern}: over {MOST_FILES} files lie below {root}; name a folder in it")
    found = sorted(glob.glob(pattern, recursive=True))
    files = [file for file in found if not Path(file).is_dir()]
    if found and not files:
        raise ValueError(f"data.paths={found[0]}: is a folder; name its files, as {found[0].rstrip('/')}/*.txt")
    return files or [pattern]


def _no_text(file: Path) -> str:
    """Say why a file cannot be text, by its kind and its beginning; nothing if it can."""
    if not file.is_file():
        return "is no regular file; name one that has an end"
    try:
        with file.open("rb") as opened:
            beginning = opened.read(4096)
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except OSError as error:
        return f"cannot be read ({error.strerror}); allow it, or leave it out"
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text ({error.reason}); convert it, or leave it out"
    if b"\0" in beginning:
        return "is binary; name text files"
    return "" if beginning.strip() else "is empty; leave it out"
