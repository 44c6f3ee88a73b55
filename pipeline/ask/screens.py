"""What each command answers: the sections of one screen, each made when it is asked for."""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from rich.text import Text

from pipeline.ask import attention
from pipeline.ask.model import CIRCUITS, Model, OneHead
from pipeline.ask.printing import Section
from pipeline.ask.study import Study
from pipeline.circuits.causes.coverage import TOGETHER
from pipeline.circuits.definitions.definition import Definition
from pipeline.circuits.definitions.registry import DEFINITIONS, HEADS

# The definitions that a screen shows; scripts get all. README.md says why these.
SHOWN = (
    ("previous_token", "mean"),
    ("previous_token", "mean_no_begin"),
    ("current_token", "mean"),
    ("first_token", "mean"),
    ("duplicate_token", "mass"),
    ("induction", "mass"),
    ("induction", "mass_no_begin"),
    ("induction", "prefix_trace"),
    ("fuzzy_induction", "near"),
    ("copying", "eigenvalue"),
    ("copying", "diagonal_z"),
    ("copying", "top1"),
    ("direct_copying", "chosen_logit"),
    ("same_token_preference", "diagonal_z"),
)
ZERO = 1e-12  # what is no more than rounding is shown as 0
EIGENVALUES, PARTNERS, ROWS = 6, 5, 12  # how many a screen shows


def head(one: OneHead, k: int, sentence: str | None, every: bool = False) -> Iterator[Section]:
    """Everything about one head, what is quick first.

    Args:
        one: the head.
        k: pairs at each end.
        sentence: to measure shares of terms on.
        every: whether definitions are measured that no screen shows.
    """
    yield role(one)
    yield composition(one)
    for circuit in CIRCUITS:
        yield eigenvalues(one, circuit)
    with ThreadPoolExecutor(1) as beside:  # pairs of a large vocabulary take as long as all else
        listed = [beside.submit(pairs, one, circuit, k) for circuit in CIRCUITS]
        if one.model.weights.attends == "back":
            yield shares(one, sentence)
        yield scores(one, HEADS if every else [DEFINITIONS[name] for name in SHOWN])
        yield from (section.result() for section in listed)


def role(one: OneHead) -> Section:
    """What a study calls it, and on what evidence."""
    roles, coverage = one.roles(), one.coverage()
    if roles.empty:
        said = "no study knows this model; snakemake --config model=... makes one"
        return Section("Role", pd.DataFrame(), note=said)
    row = roles.iloc[0]
    also = f", also {row['also']}" if row["also"] not in ("", "none") else ""
    lines = [f"{row['role']}{also} (certainty {row['certainty']:.2f})", f"evidence: {row['evidence']}"]
    if row["failed"]:
        lines.append(f"criteria it fails: {row['failed']}")
    if row["unmeasured"]:
        lines.append(f"not measured: {row['unmeasured']}")
    if len(coverage):
        best = coverage[coverage["role"] != TOGETHER].nlargest(1, "above_chance").iloc[0]
        lines.append(
            f"most of its effect ({best['effect']:.3g} nats) is recovered by {best['role']}: share {best['share']:.3g} "
            f"[{best['lo']:.3g}, {best['hi']:.3g}], chance {best['chance']:.3g}"
        )
    return Section("Role", roles, Text("\n".join(lines)))


def scores(one: OneHead, definitions: Collection[Definition] = HEADS) -> Section:
    """Its scores beside chance, at the worst period where there are several; `definitions` as of `OneHead.scores`."""
    frame = one.scores(definitions)
    chosen = frame[[name in SHOWN for name in zip(frame["metric"], frame["definition"], strict=True)]]
    chosen = (
        chosen[chosen["eval_set"].isin(["weights", "text", "repeated_tokens"])]
        .sort_values("value")
        .drop_duplicates(["metric", "definition", "eval_set"])
    )
    order = {name: place for place, name in enumerate(SHOWN)}
    place = [order[name] for name in zip(chosen["metric"], chosen["definition"], strict=True)]
    chosen = chosen.assign(place=place).sort_values(["place", "eval_set"])
    chance = chosen["null_mean"].where(chosen["null_mean"].notna(), chosen["chance"])
    assumed = np.where(chosen["eval_set"] == "weights", "random weights", "even attention")
    shown = pd.DataFrame(
        {
            "score": chosen["metric"].str.replace("_", " ") + " " + chosen["definition"],
            "on": [_on(*pair) for pair in zip(chosen["eval_set"], chosen["period"], strict=True)],
            "value": chosen["value"],
            "chance": chance.where(chance.abs() > ZERO, 0.0),
            "by": chosen["null_kind"].where(chosen["null_kind"].notna(), assumed).str.replace("_", " "),
            "z": [value if pd.notna(value) else "not measured" for value in chosen["z"]],
        }
    )
    if "q" in chosen:
        shown["q"] = chosen["q"]
    if one.model.run:
        note = f"of the study {one.model.run.study.folder.name}; of random tokens that repeat, at the worst period"
    else:
        note = "measured now, on weights and on random tokens that repeat (worst period); --json has all definitions"
    return Section("Scores", frame, shown.reset_index(drop=True), note)


def _on(eval_set: str, period: float) -> str:
    return eval_set if pd.isna(period) else f"period {period:g}"


def shares(one: OneHead, sentence: str | None) -> Section:
    """What share of its scores each term is."""
    frame = one.shares(sentence)
    keys = "no_begin" if (frame["keys"] == "no_begin").any() else "all"
    own = frame[(frame["keys"] == keys) & (frame["component"].isin(["all", "streams"]))]
    four = own[
        own["query_source"].isin(["stream", "position", "bias"]) & own["key_source"].isin(["stream", "position"])
    ]
    wide = four.pivot_table(index=["query_source", "key_source"], columns="statistic", values="value").reset_index()
    wide = wide[wide["share"].abs() > ZERO]
    columns = [name for name in ("share", "naive_share", "divergence", "mean") if name in wide]
    shown = wide[["query_source", "key_source", *columns]].sort_values("share", ascending=False)
    shown = shown.rename(columns={"query_source": "query from", "key_source": "key from", "divergence": "nats without"})
    of = "of the study" if "n" in frame and sentence is None else "on one sentence"
    begin = ", [BEGIN] left out" if keys == "no_begin" else ""
    note = f"{of}{begin}; share: of the variance of row-centred scores, 1 in all; nats without: what the pattern loses"
    return Section("Terms of its scores", frame, shown, note)


def composition(one: OneHead) -> Section:
    """Which heads it reads, and which read it."""
    frame = one.composition()
    if frame.empty:
        return Section("Composition", frame, note="there is no other layer")
    own = frame["dst_layer"].eq(one.head[0]) & frame["dst_head"].eq(one.head[1])
    ratio = frame["value"] / frame["chance"]
    name = (frame["src_layer"].astype(str) + "." + frame["src_head"].astype(str)).where(
        own, frame["dst_layer"].astype(str) + "." + frame["dst_head"].astype(str)
    )
    flow = pd.Series(np.where(own, "reads", "is read by"), frame.index)
    rows = pd.DataFrame(
        {"flow": flow, "head": name, "through": frame["metric"].str[0], "value": frame["value"], "over chance": ratio}
    )
    shown = rows.sort_values("over chance", ascending=False).groupby("flow", sort=False).head(PARTNERS)
    shown = shown.sort_values(["flow", "over chance"], ascending=[False, False])
    note = "norm of the product over that of the factors; chance: of random weights; z and p are in head_pairs"
    return Section("Composition", frame, shown, note)


def eigenvalues(one: OneHead, circuit: str) -> Section:
    """The largest eigenvalues of a circuit."""
    found = one.eigenvalues(circuit)
    frame = pd.DataFrame({"index": range(len(found)), "real": found.real.numpy(), "imaginary": found.imag.numpy()})
    listed = "  ".join(
        f"{z.real:.3g}{z.imag:+.2g}i" if abs(z.imag) > 1e-12 * abs(z) else f"{z.real:.3g}"
        for z in found[:EIGENVALUES].tolist()
    )
    positive = float(found.sum().real / found.abs().sum())
    near = {"OV": "copying", "QK": "same tokens match"}[circuit]
    text = Text(f"{listed} ...\nsum over sum of sizes: {positive:.3f} (near 1: {near}; by chance 0)")
    return Section(f"{circuit} eigenvalues", frame, text)


def pairs(one: OneHead, circuit: str, k: int, **changes: Any) -> Section:
    """The strongest pairs of a circuit, both ends side by side."""
    frame = one.top_pairs(circuit, k, **changes)
    said = {"OV": "token attended to → token promoted; logits", "QK": "query → key; scores"}[circuit]
    return Section(f"{circuit} pairs: {said}", frame, both_ends(frame, "value", "z"))


def both_ends(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return pairs with some of their numbers, both ends side by side."""
    frames = []
    for end in ("top", "bottom"):
        rows = frame[frame["end"] == end].sort_values("rank").reset_index(drop=True)
        arrow = rows["row_token"] + " → " + rows["column_token"]
        numbers = {name + " " * (end == "bottom"): rows[name] for name in columns}
        frames.append(pd.DataFrame({end: arrow, **numbers}))
    return pd.concat(frames, axis=1)


def units(frame: pd.DataFrame, title: str) -> Section:
    """Tokens of vectors, one column a matrix and end."""
    columns = []
    for (matrix, end), rows in frame.groupby(["matrix", "end"], sort=False):
        rows = rows.sort_values("rank").reset_index(drop=True)
        label = f"{matrix} {end}"
        columns.append(pd.DataFrame({label: rows["token"], " " * (1 + len(columns)) + "value": rows["value"]}))
    return Section(title, frame, pd.concat(columns, axis=1))


def attend(one: OneHead, sentence: str | None, query: int | None, fine: bool, k: int) -> Iterator[Section]:
    """Where a head looks: every query's strongest keys, one query in full, as text and as numbers.

    Raises:
        ValueError: there is no such query.
    """
    terms = one.terms(sentence, fine)
    tokens = list(attention.looks(terms).drop_duplicates("query").sort_values("query")["query_token"])
    query = len(tokens) - 1 if query is None else query
    if not 0 <= query < len(tokens):
        raise ValueError(f"--query {query}: the sentence has positions 0 to {len(tokens) - 1}")
    strongest = attention.strongest_keys(terms, k)
    said = (
        (strongest["pattern"].map("{:.2f} ".format) + strongest["key_token"] + strongest["key"].map(" ({})".format))
        .groupby(strongest["query"])
        .agg("   ".join)
    )
    looks = pd.DataFrame({"query": range(len(tokens)), "token": tokens, "looks at (attention token (position))": said})
    yield Section("Pattern", attention.looks(terms), looks)
    own = attention.of_query(terms, query)
    names = attention.names_of(terms)
    text = Text()
    text.append(f"{'attention':>20} ", style="dim")
    text.append_text(attention.coloured(list(own["key_token"]), own["attention"].to_numpy(float), 1.0))
    largest = float(own[names].abs().to_numpy(float).max())
    for name in names:
        text.append(f"\n{name:>20} ", style="dim")
        text.append_text(attention.coloured(list(own["key_token"]), own[name].to_numpy(float), largest, scores=True))
    if not fine:
        said = "terms: source of the query, source of the key; scores less their mean; orange is above 0, blue below"
        title = f"Query {query} as text: what {tokens[query]!r} looks at"
        yield Section(title, pd.DataFrame(), text, said, coloured=True)
    top = own.reindex(own["attention"].sort_values(ascending=False).index).head(ROWS)
    whole = top[["key", "key_token", "attention", "total"]]
    sizes = own[names].abs().max().sort_values(ascending=False).index
    kept = [name for name in sizes if name != "total"][:8]
    yield Section(f"Terms of query {query}", terms[terms["query"] == query], whole.join(top[kept]))


def term_statistics(one: OneHead, sentence: str | None) -> Iterator[Section]:
    """The notebook's numbers of every term: mean, variance, share, and their maps' first entries."""
    yield shares(one, sentence)
    frame = one.shares(sentence)
    keys = frame[(frame["keys"] == "all") & (frame["component"] == "all")]
    wide = keys.pivot_table(index=["query_source", "key_source"], columns="statistic", values="value").reset_index()
    variance = frame[(frame["keys"] == "all") & (frame["statistic"] == "variance")]
    variance = variance.groupby(["query_source", "key_source"])["value"].first().rename("variance")
    wide = wide.drop(columns="variance", errors="ignore").merge(variance.reset_index(), how="left")
    kept = [name for name in ("mean", "absolute_mean", "variance", "share", "divergence") if name in wide]
    yield Section(
        "Every term", frame, wide[["query_source", "key_source", *kept]].sort_values("share", ascending=False)
    )


def virtual(model: Model, source: str, reader: str, sentence: str | None, k: int) -> Iterator[Section]:
    """What two heads in a row promote at every position."""
    frame = model.virtual(source, reader, sentence, k)
    for kind, said in (
        ("virtual", "through both heads"),
        ("mixed", "and the second head's own reading, as in the notebook"),
    ):
        rows = frame[frame["kind"] == kind]
        listed = (rows["token"] + rows["logit"].map(" {:.2f}".format)).groupby(rows["position"]).agg("  ".join)
        tokens = model.shown[model.tokens(sentence)[0]]
        shown = pd.DataFrame({"position": range(len(tokens)), "token": tokens, "promotes (logit)": list(listed)})
        yield Section(f"{kind}: {said}", rows, shown)


def logits(model: Model, prompt: str, answer: str | None, against: str | None, k: int) -> Iterator[Section]:
    """Who wrote a logit."""
    likeliest = model.likeliest(prompt, k)
    yield Section("Likeliest next tokens", likeliest, likeliest[["token", "logit", "probability"]])
    frame = model.logits(prompt, answer, against)
    for kind, rows in frame.groupby("kind", sort=False):
        first = rows.iloc[0]
        whole = rows["logit"].sum()
        order = rows["logit"].abs().sort_values(ascending=False).index
        shown = rows.loc[order, ["part", "logit"]].head(2 * ROWS)
        shown = shown.assign(share=shown["logit"] / whole)
        left = len(rows) - len(shown)
        rest = f"; {left} smaller {kind}s add {whole - shown['logit'].sum():.3g}" if left else ""
        note = f"all {len(rows)} {kind}s sum to {whole:.4g}, the difference, the final norm's scale held{rest}"
        title = f"Written by each {kind}: logit of {first['answer']!r} less {first['against']!r}"
        yield Section(title, rows, shown, note)


def patch(frame: pd.DataFrame) -> Iterator[Section]:
    """What comes back when one part does what it did on the other prompt."""
    first = frame.iloc[0]
    about = f"logit difference: clean {first['clean']:.4g} (recovered 1), corrupt {first['corrupt']:.4g} (recovered 0)"
    heads = frame[frame["kind"] == "head"]
    strongest = heads.loc[heads["recovered"].abs().sort_values(ascending=False).index].head(ROWS)
    named = strongest.assign(part=strongest["layer"].astype(str) + "." + strongest["head"].astype(str))
    yield Section("Heads", heads, named[["part", "difference", "recovered"]], about)
    stream = frame[frame["kind"] == "stream"]
    grid = stream.pivot(index=["position", "token"], columns="layer", values="recovered").reset_index()
    grid.columns = [str(column) for column in grid.columns]
    shown = grid.assign(**{name: grid[name].map("{:z.2f}".format) for name in grid.columns[2:]})
    yield Section(
        "Stream", stream, shown, "recovered, by position and by the layer before which the stream is replaced"
    )
    edges = frame[frame["kind"] == "edge"]
    if len(edges):
        strongest = edges.loc[edges["recovered"].abs().sort_values(ascending=False).index].head(ROWS)
        reader = strongest["layer"].astype(str) + "." + strongest["head"].astype(str)
        named = strongest.assign(edge=strongest["source"] + " → " + reader)
        shown = named[["edge", "through", "difference", "recovered"]]
        yield Section(
            "Edges", edges, shown, "path patching: one head alone reads the other's clean output, through one input"
        )


def claims(study: Study) -> Section:
    """What a study says."""
    frame = study.table("claims")
    interval = [
        f"[{lo:.3g}, {hi:.3g}]" if pd.notna(lo) else "-" for lo, hi in zip(frame["lo"], frame["hi"], strict=True)
    ]
    shown = frame.assign(interval=interval)[
        ["experiment", "claim", "value", "interval", "threshold", "chance", "q", "verdict"]
    ]
    return Section("Claims", frame, shown)
