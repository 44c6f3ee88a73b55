import re
from importlib.resources import files

import pytest

from pipeline.atlas_page.page import LICENCES, SCRIPTS, STYLES, digest, page
from pipeline.tables.judge.head_roles import HEAD_ROLES

TITLE = "</title><script>alert(1)</script>"


@pytest.fixture(scope="module")
def html():
    return page(TITLE, {"study": "QUJD", 'a"><b/0': "REVG"})


def of_policy(html, directive):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    (sources,) = (part.split()[1:] for part in policy.split("; ") if part.split()[0] == directive)
    return sources


def test_a_name_is_text_wherever_it_stands(html):
    assert html.count("<script") == html.count("</script>") == 3
    assert "<title>&lt;/title&gt;&lt;script&gt;" in html
    assert 'data-block="a&quot;&gt;&lt;b/0">REVG<' in html


def test_the_browser_runs_this_script_and_this_style_and_fetches_nothing(html):
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert of_policy(html, "default-src") == ["'none'"]
    assert of_policy(html, "script-src") == [f"'{digest(script)}'"]
    assert of_policy(html, "style-src") == [f"'{digest(style)}'"]


def test_a_digest_is_what_the_standard_says():
    """Of the example in the specification: CSP Level 3, section 2.3.1, `alert('Hello, world.');`."""
    assert digest("alert('Hello, world.');") == "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="


def test_every_part_of_the_page_is_in_it_and_none_ends_it_early():
    folder = files("pipeline.atlas_page")
    parts = {file.name for file in folder.iterdir() if file.name.endswith((".js", ".css", ".txt"))}
    assert parts == {*SCRIPTS, *STYLES, *LICENCES}
    for name in parts:
        text = folder.joinpath(name).read_text(encoding="utf-8")
        assert "</script" not in text
        assert "</style" not in text
        assert "-->" not in text or name in SCRIPTS


def test_who_wrote_what_others_wrote_is_in_the_page(html):
    assert "Copyright 2010-2026 Mike Bostock" in html
    assert "Permission to use, copy, modify, and/or distribute this software" in html


def test_data_never_becomes_markup():
    own = [name for name in SCRIPTS if not name.startswith("d3.")]
    for name in own:
        text = files("pipeline.atlas_page").joinpath(name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )


def test_the_page_has_a_colour_and_a_shape_for_every_role_there_is():
    (role,) = (column for column in HEAD_ROLES.columns if column.name == "role")
    script, style = (files("pipeline.atlas_page").joinpath(name).read_text() for name in ("elements.js", "atlas.css"))
    listed = re.findall(r'"(\w+)"', re.search(r"const ROLES = \[(.*?)\]", script, re.S)[1])
    assert sorted(listed) == sorted(role.options)
    shapes = re.search(r"const SHAPES = \[\n(.*?)\n\];", script, re.S)[1].splitlines()
    assert len(shapes) == len(listed)
    for name in listed:
        assert f"--role-{name.replace('_', '-')}: light-dark(" in style
