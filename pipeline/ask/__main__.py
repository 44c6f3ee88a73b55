"""`headscope`: ask one question of a model or a study, and get one screen; and the commands that make studies.

Nothing heavy is imported before a command needs it.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.ask.model import Model
    from pipeline.ask.printing import Section

# Commands that are not questions: modules by name, each with main(arguments) -> exit status.
MADE = {
    "run": ("pipeline.plumbing.command", "make a study: KEY=VALUE ... [Snakemake's options]"),
    "audit": ("pipeline.plumbing.audit", "hold a folder of results against its plans"),
    "gc": ("pipeline.plumbing.unused", "list what no study refers to; --delete removes it"),
    "verify": ("pipeline.documentation.reproduction", "hold a study against a published one: FOLDER --against OTHER"),
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask one question of a model, and get one screen. MODEL is a folder in the format of transformers, a name in "
    "the hub's cache, a state dict in the notebook's format (with --heads), or a study's run, such as smoke:base/0.",
)
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="folder, name, file, or STUDY:EXPERIMENT/SEED")]
HeadName = Annotated[str, typer.Argument(metavar="LAYER.HEAD", help="such as 9.6")]
Text = Annotated[str | None, typer.Argument(metavar="[SENTENCE]", help="the demonstration sentence if not given")]
K = Annotated[int, typer.Option("-k", min=1, max=100_000, help="how many at each end")]
Heads = Annotated[
    int | None, typer.Option("--heads", min=1, help="in each layer, of a state dict, which does not tell")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Parquet = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="write the answer as a table too")]
Filters = Annotated[
    str | None, typer.Option("--filters", metavar="A,B", help="only_ascii, exclude_same ...; the study's if not given")
]
Normaliser = Annotated[str, typer.Option("--normaliser", help="none, or notebook: divide by tokens' mean responses")]
Tokens = Annotated[str | None, typer.Option("--tokenizer", metavar="NAME", help="of a model that has none of its own")]


def _give(about: dict[str, Any], sections: "Iterator[Section]", as_json: bool, parquet: Path | None) -> None:
    from pipeline.ask.printing import Screen, give

    give(about, sections, Screen(), not as_json, parquet)


def _load(name: str, heads: int | None, tokenizer: str | None = None) -> "Model":
    from rich.console import Console
    from rich.text import Text as Words

    console = Console(stderr=True)
    if not console.is_terminal:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with console.status(Words("starting"), spinner="line") as status:
        from pipeline.ask.loading import load

        return load(name, heads, tokenizer, lambda said: status.update(Words(said)))


def _about(model: "Model", **more: Any) -> dict[str, Any]:
    w = model.weights
    norms = "" if w.ln1_gain is None else ", norms"
    parts = "" if w.ff_keys is None else ", feed-forward parts"
    shape = (
        f"{model.name}: {w.n_layers} layers of {w.n_heads} heads, d_model {w.d_model}, {w.d_vocab} tokens{norms}{parts}"
    )
    return {"model": shape, "verified": str(model.verified), **more}


def _changes(filters: str | None, normaliser: str) -> dict[str, Any]:
    chosen = {} if filters is None else {"filters": [name for name in filters.split(",") if name]}
    return {"normaliser": normaliser, **chosen}


@app.command()
def head(
    model: ModelName,
    name: HeadName,
    k: K = 8,
    sentence: Annotated[str | None, typer.Option(help="to measure shares of terms on")] = None,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """One head: role, scores, terms, circuits, composition."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    sections = screens.head(loaded.head(name), k, sentence, every=as_json or parquet is not None)
    _give(_about(loaded, head=f"head {name}"), sections, as_json, parquet)


@app.command()
def pairs(
    model: ModelName,
    name: HeadName,
    circuit: Annotated[str, typer.Argument(help="OV or QK")] = "OV",
    k: K = 20,
    distance: Annotated[int, typer.Option(min=0, help="tokens back from query to key, of a rotary model's QK")] = 0,
    embedding: Annotated[str, typer.Option(help="read as embedding, or after_mlp0")] = "embedding",
    filters: Filters = None,
    normaliser: Normaliser = "none",
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The strongest token pairs of one circuit, exact."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    changes = {"distance": distance, "emb_modes": [embedding], **_changes(filters, normaliser)}
    section = screens.pairs(loaded.head(name), circuit, k, **changes)
    _give(_about(loaded, head=f"head {name}"), iter([section]), as_json, parquet)


@app.command()
def attend(
    model: ModelName,
    name: HeadName,
    sentence: Text = None,
    query: Annotated[int | None, typer.Option(help="the position whose terms are shown; the last if not given")] = None,
    fine: Annotated[bool, typer.Option("--fine", help="every source on its own")] = False,
    k: Annotated[int, typer.Option("-k", min=1, help="keys shown of every query")] = 3,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="write a page")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="draw the maps, as .png or .svg")] = None,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Where a head looks in a sentence, and which terms make it look there."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import attention, screens

    one = loaded.head(name)
    _give(_about(loaded, head=f"head {name}"), screens.attend(one, sentence, query, fine, k), as_json, parquet)
    title = f"{loaded.name}, head {name}"
    if page is not None:
        page.write_text(attention.page(title, one.terms(sentence, fine)), encoding="utf-8")
    if png is not None:
        attention.picture(title, one.terms(sentence, fine), png)


@app.command()
def terms(
    model: ModelName,
    name: HeadName,
    sentence: Text = None,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The terms of a head's scores: the notebook's numbers."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    _give(_about(loaded, head=f"head {name}"), screens.term_statistics(loaded.head(name), sentence), as_json, parquet)


@app.command()
def virtual(
    model: ModelName,
    first: HeadName,
    second: HeadName,
    sentence: Text = None,
    k: Annotated[int, typer.Option("-k", min=1, help="tokens at each position")] = 5,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """What two heads in a row promote, as the notebook lists it."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    _give(_about(loaded), screens.virtual(loaded, first, second, sentence, k), as_json, parquet)


@app.command()
def neuron(
    model: ModelName,
    name: Annotated[str, typer.Argument(metavar="LAYER.NEURON", help="such as 19.170")],
    k: K = 20,
    filters: Filters = None,
    normaliser: Normaliser = "none",
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The tokens that excite a neuron (key), and those that it promotes (value)."""
    loaded = _load(model, None, tokenizer)
    from pipeline.ask import screens

    frame = loaded.neuron(name, k, **_changes(filters, normaliser))
    _give(_about(loaded), iter([screens.units(frame, f"Neuron {name}")]), as_json, parquet)


@app.command()
def vector(
    model: ModelName,
    file: Annotated[str, typer.Argument(metavar="FILE:NAME", help="a vector in a safetensors file")],
    k: K = 20,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The tokens that any vector of the stream points at."""
    from pipeline.ask.loading import vector_in

    found = vector_in(file)
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    _give(_about(loaded), iter([screens.units(loaded.vector(found, k), f"Vector {file}")]), as_json, parquet)


@app.command()
def dimension(
    model: ModelName,
    name: HeadName,
    unit: Annotated[int, typer.Argument(metavar="DIMENSION")],
    k: K = 20,
    filters: Filters = None,
    normaliser: Normaliser = "none",
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The tokens of one dimension of a head's queries, keys, values and output."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    frame = loaded.head(name).dimension(unit, k, **_changes(filters, normaliser))
    _give(_about(loaded), iter([screens.units(frame, f"Dimension {unit} of head {name}")]), as_json, parquet)


@app.command()
def direction(
    model: ModelName,
    name: HeadName,
    circuit: Annotated[str, typer.Argument(help="OV or QK")] = "OV",
    unit: Annotated[int, typer.Argument(metavar="[DIRECTION]", help="0 is that of the largest singular value")] = 0,
    k: K = 20,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """The tokens of one singular direction of a circuit."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    frame = loaded.head(name).direction(circuit, unit, k)
    _give(_about(loaded), iter([screens.units(frame, f"Direction {unit} of head {name}")]), as_json, parquet)


@app.command()
def logits(
    model: ModelName,
    prompt: str,
    answer: Annotated[str | None, typer.Option(help="one token, such as ' Mary'; the likeliest if not given")] = None,
    against: Annotated[str | None, typer.Option(help="one token; the mean of all if not given")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="likeliest tokens shown")] = 5,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Who wrote a logit: heads, feed-forward parts, embeddings, paths."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    _give(_about(loaded), screens.logits(loaded, prompt, answer, against, k), as_json, parquet)


@app.command()
def patch(
    model: ModelName,
    clean: Annotated[str, typer.Argument(metavar="CLEAN", help="a prompt that the model answers")],
    corrupt: Annotated[str, typer.Argument(metavar="CORRUPT", help="another, of as many tokens")],
    answer: Annotated[str, typer.Option(help="one token, such as ' Mary'")],
    against: Annotated[str, typer.Option(help="one token, such as ' John'")],
    edges: Annotated[
        int | None, typer.Option(min=0, help="strongest heads whose edges are patched; conf/'s number if not given")
    ] = None,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Which head, stream or edge brings the clean prompt's answer into the corrupt one."""
    loaded = _load(model, heads, tokenizer)
    from pipeline.ask import screens

    frame = loaded.patch(clean, corrupt, answer, against, edges)
    _give(_about(loaded), screens.patch(frame), as_json, parquet)


@app.command()
def claims(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="its folder, or its name")],
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """What a study says."""
    from pipeline.ask.screens import claims as said
    from pipeline.ask.study import study_in

    _give({}, iter([said(study_in(study))]), as_json, parquet)


@app.command()
def table(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="its folder, or its name")],
    name: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="such as head_scores; all names if not given")
    ] = None,
    where: Annotated[str, typer.Option(help='such as "layer = 1 and value > 0.5"')] = "",
    columns: Annotated[str, typer.Option(help="to show, with commas; all if not given")] = "",
    by: Annotated[str, typer.Option(help="column to sort by, largest first")] = "",
    limit: Annotated[int, typer.Option(min=0, help="rows shown; 0 for all")] = 50,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Rows of one of a study's tables."""
    from pipeline.ask.printing import Section
    from pipeline.ask.study import study_in, table_section

    found = study_in(study)
    if name is None:
        import pandas as pd

        _give({}, iter([Section("Tables", pd.DataFrame({"table": found.tables}))]), as_json, parquet)
        return
    _give({}, iter([table_section(found, name, where, columns, by, limit)]), as_json, parquet)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="a model, or a study's folder or name")],
    b: Annotated[str, typer.Argument(metavar="B", help="another that shares tokens with it, or another study")],
    name: Annotated[
        str | None,
        typer.Option("--head", metavar="LAYER.HEAD", help="of A: what in B is like it, and the difference"),
    ] = None,
    partner: Annotated[
        str | None,
        typer.Option("--with", metavar="LAYER.HEAD", help="of B; the head most like it if not given"),
    ] = None,
    k: K = 8,
    filters: Filters = None,
    heads: Heads = None,
    tokenizer: Tokens = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Two models head by head, or two studies claim by claim."""
    from pipeline.ask.study import is_study

    if (partner or filters) and name is None:
        raise ValueError("--with and --filters are of one head's difference; add --head LAYER.HEAD")
    if is_study(a) and is_study(b) and name is None:
        from pipeline.ask.compare import of_studies

        _give({}, of_studies(a, b), as_json, parquet)
        return
    one, other = (_load(each, heads, tokenizer) for each in (a, b))
    from pipeline.ask.compare import of_heads, of_models

    about = {
        f"{side} {key}": value for side, model in (("a", one), ("b", other)) for key, value in _about(model).items()
    }
    if name is None:
        sections = of_models(one, other)
    else:
        sections = of_heads(one, other, name, partner, k, **_changes(filters, "none"))
    _give(about, sections, as_json, parquet)


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="STUDY", help="a study, one of its runs, or any MODEL")],
    to: Annotated[str, typer.Option(help="headvis, circuitsvis, transformer_lens, huggingface or csv")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="exports/TO if not given")] = None,
    heads: Heads = None,
    as_json: AsJson = False,
    parquet: Parquet = None,
) -> None:
    """Write a study or a model as another tool takes it."""
    from pipeline.ask.export import export as written

    _give({}, iter([written(name, to, out or Path("exports") / to, heads)]), as_json, parquet)


def _hand_on(module: str) -> Any:
    def called(ctx: typer.Context) -> None:
        ctx.exit(importlib.import_module(module).main(ctx.args))

    return called


for _name, (_module, _help) in MADE.items():
    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command(_name, help=_help, context_settings=settings)(_hand_on(_module))


def main() -> None:
    """Answer, and turn a person's mistake into one line."""
    try:
        status = app(standalone_mode=False, prog_name="headscope")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit("headscope: stopped")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who reads has had enough
        sys.exit(1)
    except OSError as error:
        sys.exit(f"headscope: {error.filename}: {error.strerror}; name another file or folder")
    except (ValueError, ImportError) as error:
        if os.environ.get("PIPELINE_TRACEBACK"):
            raise
        sys.exit(f"headscope: {' '.join(str(error).split())}")
    except Exception as error:
        told = getattr(error, "format_message", None)  # of what the command line itself refuses
        if told is None:
            raise
        sys.exit(f"headscope: {' '.join(told().split())}")
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
