"""The pages of docs/ that are written by hand name what there is, and the site shows all pages."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.claims.catalogue import CLAIMS
from pipeline.tables.registry import TABLES

ROOT = Path(__file__).resolve().parents[2]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
WRITTEN = ["index", "method", "mistakes", "limits", "recipes"]
OF_TOOLS = {"scatter_data", "transformer_lens"}
OF_NOTEBOOKS = {"hidden_dim", "n_ctx", "_fuzzy_eq"}
OF_MATHEMATICS = {"W_Q", "W_K", "W_V", "W_O", "W_E", "W_U", "d_head", "d_model", "d_vocab"}


def known():
    """Every name of a table, column, option, definition, claim or setting."""
    names = {claim.name for claim in CLAIMS} | {name for entry in DEFINITIONS for name in entry}
    for name, table in TABLES.items():
        options = [option for column in table.columns for option in column.options or ()]
        names |= {name, *(column.name for column in table.columns), *options}
    return names | set(re.findall(r'"(\w+)"', (ROOT / "conf/schema.json").read_text()))


def leaves(nav):
    for entry in nav:
        for page in entry.values():
            yield from leaves(page) if isinstance(page, list) else [page]


def test_every_page_is_in_the_site():
    assert sorted(leaves(SITE["nav"])) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", WRITTEN)
def test_every_name_in_a_page_is_one_of_the_code(page):
    text = re.sub(r"^```.*?^```", "", (ROOT / f"docs/{page}.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    inline = " ".join(code for code in re.findall(r"`([^`\n]+)`", text) if not re.search(r"/|model=|study=", code))
    names = set(re.findall(r"(?<![\w.])\w+_\w+", inline))
    assert names - known() - OF_TOOLS - OF_NOTEBOOKS - OF_MATHEMATICS == set()
    for table, column in re.findall(r"`(\w+)\.(\w+)`", text):
        assert table not in TABLES or column in {known.name for known in TABLES[table].columns}
