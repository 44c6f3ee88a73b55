"""Text for the toy models: what every Python installation brings along, a person's own files, or the hub.

And text of another kind, to measure on alone: manuals and licences.
"""

import ast
import glob
import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath

import torch
from torch import Generator

from pipeline.models.one_line import first_line

PYTHON = "python"  # the name under which the standard library is asked for
LICENCE = re.compile(r"\.dist-info/.*(licen[cs]e|copying|notice)", re.IGNORECASE)  # a file, or a folder of them
NOT_DOCUMENTATION = {"test", "tests", "testing", "idle_test", "site-packages", "dist-packages", "_vendor", "externals"}


@dataclass(frozen=True)
class Source:
    """Documents from one place, in an order that depends on their content's place in it alone."""

    name: str
    version: str | None
    documents: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of the documents, joined by NUL, as UTF-8."""
        return hashlib.sha256("\0".join(self.documents).encode()).hexdigest()


def python_docs(packages: Iterable[str], min_characters: int) -> list[Source]:
    """Docstrings of installed packages, read without importing them; a text met twice counts once.

    Equal versions of the packages give equal documents, wherever they are installed and whatever else is.

    Args:
        packages: distribution names as pip knows them; "python" is the standard library.
        min_characters: shorter docstrings are left out.

    Raises:
        ValueError: a package is not installed, or no docstring is long enough.
    """
    seen: set[str] = set()
    sources = []
    for package in packages:
        version, modules = _modules(package)
        documents = []
        for module in modules:
            for text in _docstrings(module):
                if len(text) >= min_characters and text not in seen:
                    seen.add(text)
                    documents.append(text)
        sources.append(Source(package, version, tuple(documents)))
    if not seen:
        raise ValueError(f"python_docs: no docstring has {min_characters} characters; lower data.min_characters")
    return sources


def other_text(packages: Iterable[str], known: Iterable[str]) -> list[Source]:
    """Manuals and licences of installed packages, read without importing them: text of another kind than docstrings.

    A paragraph is left out that occurred before or is in a document that is known, spaces and line ends apart, or that
    is not ASCII; what is left of a text is a document.

    Args:
        packages: distribution names as pip knows them, whose licence files are read; "python" is the language
            reference as pydoc keeps it, a document a topic.
        known: documents of which nothing is wanted.

    Raises:
        ValueError: a package is not installed, or has no such text.
    """
    seen = {key for document in known for key in _paragraphs(document)}
    sources = []
    for package in packages:
        kind, version, texts = ("manual", *_topics()) if package == PYTHON else ("licences", *_licences(package))
        documents = []
        for text in texts:
            new = {key: shown for key, shown in _paragraphs(text).items() if key not in seen and key.isascii()}
            seen |= new.keys()
            if new:
                documents.append("\n\n".join(new.values()))
        if not texts:
            raise ValueError(f"package {package!r} has no {kind}; take it out of prepare.other")
        sources.append(Source(f"{package}: {kind}", version, tuple(documents)))
    return sources


def _paragraphs(text: str) -> dict[str, str]:
    """A text's paragraphs as they stand, by their words; those without any are left out."""
    return {key: part for part in re.split(r"\n\s*\n", text.strip("\n")) if (key := " ".join(part.split()))}


def _topics() -> tuple[str, list[str]]:
    """Python's version and the topics of its language reference, by their names."""
    version = ".".join(map(str, sys.version_info[:3]))
    module = Path(sysconfig.get_path("stdlib"), "pydoc_data", "topics.py")
    if not module.exists():
        return version, []
    tree = ast.parse(module.read_bytes())
    topics = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    return version, [topics[name] for name in sorted(topics)]


def _licences(package: str) -> tuple[str, list[str]]:
    """A package's version and its licence files, sorted by path."""
    distribution = _installed(package)
    files = sorted(file for file in distribution.files or () if LICENCE.search(file.as_posix()))
    return distribution.version, [Path(file.locate()).read_text(encoding="utf-8", errors="replace") for file in files]


def _installed(package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise ValueError(f"package {package!r} is not installed; install it or do without its text") from None


def _modules(package: str) -> tuple[str, list[Path]]:
    """A package's version and its modules, sorted by their path inside the package."""
    if package == PYTHON:
        root = Path(sysconfig.get_path("stdlib"))
        version = ".".join(map(str, sys.version_info[:3]))
        inside = {path.relative_to(root): path for path in root.rglob("*.py")}
    else:
        distribution = _installed(package)
        version = distribution.version
        files = [file for file in distribution.files or () if file.suffix == ".py" and ".." not in file.parts]
        inside = {file: Path(file.locate()) for file in files}
    wanted = {place: path for place, path in inside.items() if _is_documentation(place)}
    return version, [wanted[place] for place in sorted(wanted, key=PurePath.as_posix)]


def _is_documentation(place: PurePath) -> bool:
    return not NOT_DOCUMENTATION & set(place.parts) and not place.name.startswith(("test_", "_sysconfigdata"))


def _docstrings(module: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions, from top to bottom."""
    try:
        tree = ast.parse(module.read_bytes())
    except (SyntaxError, ValueError):  # templates and files for other Python versions
        return
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        text = ast.get_docstring(node)
        if text and text.isascii():  # alphabets met a few times only would cost the vocabulary its short words
            yield text


def text_files(patterns: Iterable[str], document_characters: int) -> list[Source]:
    """A person's own files, sorted by path, each cut into documents of equal length.

    Args:
        patterns: paths or globs (** matches folders), relative to the working folder.
        document_characters: length of a document; the last of a file may be shorter.

    Raises:
        ValueError: a pattern matches no file, or a file is not UTF-8 text.
    """
    sources: dict[str, Source] = {}
    for pattern in patterns:
        paths = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
        if not paths:
            raise ValueError(f"data.paths: no file matches {pattern!r}; give paths or globs of your text")
        for path in paths:
            try:
                text = Path(path).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"data.paths: {path} is not UTF-8 text ({error.reason}); convert it") from None
            starts = range(0, len(text), document_characters)
            sources[path] = Source(path, None, tuple(text[start : start + document_characters] for start in starts))
    return list(sources.values())


def hub_text(name: str, configuration: str | None, split: str, column: str, documents: int) -> list[Source]:
    """The first documents of a dataset on the Hugging Face hub.

    Args:
        name: the dataset, as `owner/name`.
        configuration: its variant, or None.
        split: as the datasets library writes it.
        column: the column that holds text.
        documents: how many rows to take.

    Raises:
        ValueError: the datasets library is missing, or the dataset cannot be read.
    """
    try:
        from datasets import load_dataset  # pyright: ignore[reportMissingImports]  # of the extra `hub`
    except ImportError:
        raise ValueError("data=hub_text needs the datasets library; pip install -e '.[hub]'") from None
    try:
        rows = load_dataset(name, configuration, split=split, streaming=True).take(documents)
        texts = tuple(row[column] for row in rows)
    except Exception as error:  # the library raises some twenty kinds, most of them about the network
        raise ValueError(
            f"dataset {name!r} cannot be read ({first_line(error)}); check network, name and column"
        ) from error
    return [Source(name, None, texts)]


def random_tokens(ids: range, documents: int, document_tokens: int, generator: Generator) -> Source:
    """Documents of uniformly random ids, written as words.

    Args:
        ids: what to draw from.
        documents: how many documents.
        document_tokens: ids in each.
        generator: decides the ids.
    """
    drawn = torch.randint(ids.start, ids.stop, (documents, document_tokens), generator=generator)
    return Source("random tokens", None, tuple(" ".join(map(str, row)) for row in drawn.tolist()))


def is_heldout(document: str, fraction: float) -> bool:
    """Whether a document is kept from training: decided by its own text, so that no other document matters.

    Args:
        document: its text.
        fraction: expected share of documents kept, 0 to 1.
    """
    digest = hashlib.sha256(document.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
