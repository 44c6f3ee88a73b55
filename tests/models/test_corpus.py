import hashlib
import sys
from importlib import metadata

import pytest
from torch import Generator

from pipeline.models import corpus

MODULE = '''"""Module text, long enough."""

class Thing:
    """Class text, long enough."""

    def act(self):
        """Method text,

            indented, long enough.
        """
        "not a docstring, though long enough"


async def wait():
    """Function text, long enough."""

def short():
    """Short."""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed distribution of two modules, one test module and one that is no Python."""
    files = {
        "pack/b.py": MODULE,
        "pack/a.py": '"""First text, long enough."""\ndef again():\n    """Module text, long enough."""\n',
        "pack/tests/c.py": '"""Test text, long enough."""\n',
        "pack/broken.py": '"""Broken text, long enough."""\ndef (:\n',
        "pack/raises.py": '"""Raising text, long enough."""\nraise SystemExit("imported")\n',
        "pack-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: pack\nVersion: 1.5\n",
        "pack-1.5.dist-info/LICENSE": "LICENCE\n\n  Do what\n  you want.\n\nOf this software there is one copy.\n",
        "pack-1.5.dist-info/licenses/b/MIT": "LICENCE\n \nFor b:\n\nDo what you\nwant.\n\nNaïve.\n",
        "pack/LICENSE": "Not beside what pip installed it with.",
    }
    record = "".join(f"{name},,\n" for name in reversed(files))
    for name, content in (files | {"pack-1.5.dist-info/RECORD": record}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "pack"


def test_docstrings_are_read_in_order_without_importing(package):
    (source,) = corpus.python_docs([package], min_characters=10)
    assert (source.name, source.version) == ("pack", "1.5")
    assert source.documents == (
        "First text, long enough.",
        "Module text, long enough.",
        "Class text, long enough.",
        "Method text,\n\nindented, long enough.",
        "Function text, long enough.",
        "Raising text, long enough.",
    )
    assert source.sha256 == hashlib.sha256("\0".join(source.documents).encode()).hexdigest()


def test_a_package_that_is_not_installed_is_named():
    for read in (lambda names: corpus.python_docs(names, min_characters=1), lambda names: corpus.other_text(names, [])):
        with pytest.raises(ValueError, match="'no-such-package' is not installed"):
            read(["no-such-package"])


def test_licences_are_read_but_for_paragraphs_met_before(package):
    known = ["Of this software there\n  is one copy.\n\nMore."]
    (source,) = corpus.other_text([package], known)
    assert (source.name, source.version) == ("pack: licences", "1.5")
    assert source.documents == ("LICENCE\n\n  Do what\n  you want.", "For b:")


def test_a_package_without_a_licence_is_named(package, tmp_path):
    record = tmp_path / "pack-1.5.dist-info/RECORD"
    record.write_text("".join(line for line in record.open() if "licen" not in line.lower()))
    with pytest.raises(ValueError, match=r"'pack' has no licences; take it out of prepare\.other"):
        corpus.other_text([package], [])


def test_the_manual_of_python_comes_with_it():
    (source,) = corpus.other_text(["python"], [])
    assert (source.name, source.version) == ("python: manual", ".".join(map(str, sys.version_info[:3])))
    assert any(document.startswith('The "assert" statement\n*****') for document in source.documents)
    paragraphs = [" ".join(part.split()) for document in source.documents for part in document.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))
    # of what is known, nothing is left
    assert corpus.other_text(["python"], source.documents)[0].documents == ()


def test_no_docstring_long_enough_is_said(package):
    with pytest.raises(ValueError, match="has 9999 characters"):
        corpus.python_docs([package], min_characters=9999)


@pytest.mark.slow
def test_the_standard_library_and_a_pinned_package_have_text():
    python, einops = corpus.python_docs(["python", "einops"], min_characters=2000)
    assert python.version == ".".join(map(str, sys.version_info[:3]))
    assert einops.version == metadata.version("einops")
    assert any(text.startswith("JSON (JavaScript Object Notation)") for text in python.documents)
    assert not set(python.documents) & set(einops.documents)


def test_files_are_cut_into_documents(tmp_path):
    (tmp_path / "b.txt").write_text("abcdefgh", encoding="utf-8")
    (tmp_path / "a.txt").write_text("häß", encoding="utf-8")
    first, second = corpus.text_files([str(tmp_path / "*.txt"), str(tmp_path / "b.txt")], document_characters=3)
    assert first.documents == ("häß",)
    assert second.documents == ("abc", "def", "gh")
    assert second.name == str(tmp_path / "b.txt")


def test_a_pattern_without_files_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file matches .*\.md"):
        corpus.text_files([str(tmp_path / "*.md")], document_characters=3)


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="picture is not UTF-8"):
        corpus.text_files([str(tmp_path / "picture")], document_characters=3)


def test_a_missing_datasets_library_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="needs the datasets library") as error:
        corpus.hub_text("owner/name", None, "train", "text", 5)
    assert "\n" not in str(error.value)


def test_random_tokens_are_uniform_over_the_ids():
    source = corpus.random_tokens(range(2, 6), 10, 400, Generator().manual_seed(0))
    counts = [sum(text.split().count(str(token)) for text in source.documents) for token in range(2, 6)]
    assert sum(counts) == 4000
    # five standard deviations of a binomial count with n = 4000, p = 1/4
    assert all(abs(count - 1000) <= 5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts)


def test_documents_are_held_out_by_their_own_text_alone():
    documents = [f"document {number}" for number in range(4000)]
    chosen = [corpus.is_heldout(text, 0.1) for text in documents]
    assert [corpus.is_heldout(text, 0.1) for text in reversed(documents)] == chosen[::-1]
    # five standard deviations of a binomial count with n = 4000, p = 0.1
    assert abs(sum(chosen) - 400) <= 5 * (4000 * 0.1 * 0.9) ** 0.5
    assert all(corpus.is_heldout(text, 0.2) for text, aside in zip(documents, chosen, strict=True) if aside)
