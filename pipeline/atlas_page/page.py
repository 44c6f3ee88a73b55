"""One file: the page's own code and style, and blocks of data that none of it can run or fetch beyond."""

import base64
import hashlib
import html
from importlib.resources import files

VIEWS = ("overview.js", "head.js", "compare.js", "how.js")
SCRIPTS = ("d3.min.js", "data.js", "elements.js", "charts.js", *VIEWS, "app.js")
STYLES = ("atlas.css",)
LICENCES = ("d3.LICENSE.txt",)


def page(title: str, blocks: dict[str, str]) -> str:
    """Return the page.

    Args:
        title: of the page, in any characters.
        blocks: of `blocks.pack`, by the name that the page asks for.
    """
    script, style = (_source(names) for names in (SCRIPTS, STYLES))
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = "\n".join(
        f'<script type="application/octet-stream;base64" data-block="{html.escape(name)}">{text}</script>'
        for name, text in blocks.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<noscript>This page draws itself from what it holds, with JavaScript; it asks nothing of the network.</noscript>
<div id="atlas"></div>
<!--
{_source(LICENCES)}
-->
{data}
<script>{script}</script>
</body>
</html>
"""


def digest(text: str) -> str:
    """Return what a content-security-policy calls a script or a style of exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _source(names: tuple[str, ...]) -> str:
    folder = files("pipeline.atlas_page")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
