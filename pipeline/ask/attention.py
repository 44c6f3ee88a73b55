"""Where one head looks in one sentence: as coloured text in a terminal, as a page, as a picture."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.text import Text

from pipeline.ask.printing import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's, told apart with any kind of colour blindness
DPI = 150
FADED = 0.02  # of the largest value; what is less has no colour


def looks(terms: pd.DataFrame) -> pd.DataFrame:
    """Return the pattern's rows of a head's terms."""
    return terms[terms["query_source"] == "total"]


def names_of(terms: pd.DataFrame) -> list[str]:
    """Return the terms' names, `stream position`, the whole last."""
    pairs = terms[["query_source", "key_source"]].drop_duplicates().itertuples(index=False)
    return [f"{query} {key}" for query, key in pairs if query != "total"] + ["total"]


def of_query(terms: pd.DataFrame, query: int) -> pd.DataFrame:
    """Return one query's row a key: attention, and the score of every term, less its mean over keys."""
    rows = terms[terms["query"] == query]
    name = rows["query_source"].where(rows["query_source"] == "total", rows["query_source"] + " " + rows["key_source"])
    scores = rows.assign(term=name).pivot(index="key", columns="term", values="score")
    scores = scores[names_of(terms)] - scores[names_of(terms)].mean()
    whole = rows[rows["query_source"] == "total"].set_index("key")
    return scores.assign(key_token=whole["key_token"], attention=whole["pattern"]).reset_index()[
        ["key", "key_token", "attention", *names_of(terms)]
    ]


def strongest_keys(terms: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return every query's k keys with most attention."""
    whole = looks(terms).sort_values(["query", "pattern"], ascending=[True, False])
    return whole.groupby("query", sort=True).head(k)


def coloured(tokens: list[str], values: np.ndarray, largest: float, scores: bool = False) -> Text:
    """Return a sentence, every token on its value: attention in blue; scores orange above 0, blue below."""
    text = Text()
    for token, value in zip(tokens, values, strict=True):
        text.append(visible(token), style=_style(value / largest if largest else 0.0, scores))
        text.append(" ")
    return text


def _style(share: float, scores: bool) -> str:
    strength = min(abs(share), 1.0)
    if not strength > FADED:
        return ""
    mixed = tuple(round(255 + (channel - 255) * strength) for channel in _hue(share, scores))
    ink = "#000000" if sum(mixed) > 420 else "#ffffff"
    return f"{ink} on rgb({mixed[0]},{mixed[1]},{mixed[2]})"


def _hue(value: float, scores: bool) -> tuple[int, int, int]:
    return RED if scores and value > 0 else BLUE


def page(title: str, terms: pd.DataFrame) -> str:
    """Return a page that shows every query's attention, and its terms under it; it runs no code."""
    tokens = _tokens(terms)
    parts = [
        f"<h1>{html.escape(visible(title))}</h1><p>Each line: one token looks (bold), the shade is how much it "
        "attends. Under the pointer: the number. Open a line for the score of every term, each less its mean.</p>"
    ]
    names = names_of(terms)
    for query, token in enumerate(tokens):
        rows = of_query(terms, query)
        values = rows["attention"].to_numpy(float)
        parts.append(f"<details><summary><b>{html.escape(visible(token))}</b> {_spans(tokens, values, 1.0)}</summary>")
        largest = float(np.abs(rows[names].to_numpy(float)).max()) or 1.0
        for name in names:
            values = rows[name].to_numpy(float)
            parts.append(f"<p><i>{html.escape(name)}</i> {_spans(tokens, values, largest, True)}</p>")
        parts.append("</details>")
    style = (
        "body{font:15px/1.7 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
        "span{padding:.1em .15em;border-radius:.2em;white-space:pre}"
        "b{display:inline-block;min-width:6em}i{display:inline-block;min-width:11em;color:#555}"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><meta name="viewport" content="width=device-width"><title>{html.escape(visible(title))}'
        f"</title><style>{style}</style>{''.join(parts)}</html>\n"
    )


def _spans(tokens: list[str], values: np.ndarray, largest: float, scores: bool = False) -> str:
    spans = []
    for token, value in zip(tokens, values, strict=False):  # keys after the query have none
        red, green, blue = _hue(value, scores)
        strength = min(abs(value) / largest, 1.0)
        ink = "#fff" if strength > 0.6 else "#222"
        style = f"background:rgba({red},{green},{blue},{strength:.3f});color:{ink}"
        spans.append(f'<span style="{style}" title="{value:.4g}">{html.escape(visible(token))}</span>')
    return "".join(spans)


def _tokens(terms: pd.DataFrame) -> list[str]:
    whole = looks(terms).drop_duplicates("query").sort_values("query")
    return list(whole["query_token"])


def picture(title: str, terms: pd.DataFrame, file: Path) -> None:
    """Draw the pattern and every term's row-centred scores, token by token, as .png or .svg."""
    # Costs a second to import, so only where something is drawn.
    import matplotlib

    from pipeline.figures.style import RC, save

    with matplotlib.rc_context(RC):
        figure = _drawn(title, terms)
    save(figure, file, file.suffix.removeprefix("."), DPI)


def _drawn(title: str, terms: pd.DataFrame) -> "Figure":
    from matplotlib.colors import CenteredNorm, Normalize

    from pipeline.figures.grids import causal, heat_map
    from pipeline.figures.style import PROBABILITIES, SCORES, label, new

    tokens = [label(token) for token in _tokens(terms)]
    size, side = len(tokens), max(2.4, 0.13 * len(tokens) + 0.8)
    maps = {"pattern": causal(looks(terms), "pattern", size)}
    for name in names_of(terms):
        query, key = ("total", "total") if name == "total" else name.split(" ")
        rows = terms[(terms["query_source"] == query) & (terms["key_source"] == key)]
        scores = causal(rows, "score", size)
        maps[name] = scores - np.nanmean(scores, axis=1, keepdims=True)
    columns = min(3, len(maps))
    lines = -(-len(maps) // columns)
    caption = (
        "Rows look, columns are looked at. Terms: source of the query, source of the key; scores less their row's mean."
    )
    figure = new(label(title, 200), caption, lines * side, columns * side + 0.8)
    grid = figure.subplots(lines, columns, squeeze=False)
    largest = max(float(np.nanmax(np.abs(values))) for name, values in maps.items() if name != "pattern") or 1.0
    colours = {"pattern": (PROBABILITIES, Normalize(0, 1))}
    for axes in grid.flat[len(maps) :]:
        axes.axis("off")
    images = {}
    for axes, (name, values) in zip(grid.flat, maps.items(), strict=False):
        cmap, norm = colours.get(name, (SCORES, CenteredNorm(0, largest)))
        images[name] = heat_map(axes, values, tokens, tokens, cmap, norm, (side - 0.8, side - 0.8))
        axes.set_title(name)
    figure.colorbar(images["pattern"], ax=grid, shrink=0.5, label="attention (probability)")
    figure.colorbar(images["total"], ax=grid, shrink=0.5, label="score, row-centred")
    return figure
