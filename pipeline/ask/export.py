"""A study or a model in the files that other tools read."""

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import torch
from safetensors.torch import save_file

from pipeline.ask.loading import CONFIG, TENSORS, TOKENIZER, bring, load
from pipeline.ask.model import Model
from pipeline.ask.printing import Section
from pipeline.ask.study import study_in
from pipeline.circuits.transformer.forward import attention_at
from pipeline.circuits.transformer.weights import Head
from pipeline.frames.tensors import sequences_of
from pipeline.plumbing import intact
from pipeline.plumbing.artefacts import read_file
from pipeline.tables.probe import SEQUENCES

DECIMALS = 4  # of attention and lengths, in JSON
SHOWN_OF = "text"  # the set of sequences that HeadVis is given


def export(name: str, to: str, out: Path, heads: int | None) -> Section:
    """Write a study or a model as another tool takes it.

    Args:
        name: study, or model as `load` takes it.
        to: a name of WRITERS.
        out: a folder that does not exist yet, or is empty.
        heads: in each layer of a state dict.

    Returns:
        The files written; the note says how to read them, and what could not be checked.

    Raises:
        ValueError: the tool cannot take this model, or something lies in the folder.
    """
    if to not in WRITERS:
        raise ValueError(f"{to}: nothing is exported to it; ask for {', '.join(WRITERS)}")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: holds files already; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    note = WRITERS[to](name, out, heads)
    made = [(str(file.relative_to(out)), file.stat().st_size) for file in sorted(out.rglob("*")) if file.is_file()]
    return Section(f"Exported to {out}", pd.DataFrame(made, columns=["file", "bytes"]), note=note)


def to_csv(name: str, out: Path, heads: int | None) -> str:
    """Write every table of a study; what is null is empty."""
    study = study_in(name)
    for table in study.tables:
        intact.check_sealed(study.folder / f"{table}.parquet")
        rows = pyarrow.parquet.read_table(study.folder / f"{table}.parquet")
        pyarrow.csv.write_csv(rows, out / f"{table}.csv")
    return "columns are described in docs/tables.md"


def to_huggingface(name: str, out: Path, heads: int | None) -> str:
    """Copy a checkpoint's configuration, weights and tokenizer."""
    with TemporaryDirectory() as place:
        _, tokenizer = bring(name, heads, Path(place))
        model_type = json.loads((Path(place) / CONFIG).read_text(encoding="utf-8"))["model_type"]
        if model_type == "attention_only":
            raise ValueError(
                f"{name}: transformers has no class for the toy, whose positions enter queries and keys alone; "
                "use --to transformer_lens"
            )
        for file in (CONFIG, TENSORS):
            shutil.copyfile(Path(place) / file, out / file)
    if tokenizer is not None:
        tokenizer.save(str(out / TOKENIZER))
        _write(out / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    return f'transformers.AutoModel.from_pretrained("{out}")'


def to_transformer_lens(name: str, out: Path, heads: int | None) -> str:
    """Write the toy as a module with TransformerLens's hook points, under its names of parameters."""
    model = load(name, heads)
    w = model.weights
    if model.model_type != "attention_only":
        raise ValueError(
            f"{name}: TransformerLens reads {model.model_type} itself: TransformerBridge.boot_transformers (4.x) or "
            "HookedTransformer.from_pretrained (3.x)"
        )
    shape = {"n_layers": w.n_layers, "n_heads": w.n_heads, "d_model": w.d_model, "d_head": w.d_head}
    positions = torch.zeros(model.n_ctx, w.d_model) if w.W_pos is None else w.W_pos
    state = {"embed.W_E": w.W_E, "pos_embed.W_pos": positions, "unembed.W_U": w.W_U}
    of_heads = {"W_Q": w.W_Q, "W_K": w.W_K, "W_V": w.W_V, "W_O": w.W_O}
    for layer in range(w.n_layers):
        state |= {f"blocks.{layer}.attn.{matrix}": value[layer] for matrix, value in of_heads.items()}
    save_file({key: value.contiguous().clone() for key, value in state.items()}, out / TENSORS)
    _write(out / CONFIG, {**shape, "d_vocab": w.d_vocab, "n_ctx": len(positions)})
    model.tokenizer.save(str(out / TOKENIZER))
    (out / "hooked_toy.py").write_text(files("pipeline.ask").joinpath("hooked_toy.txt").read_text(encoding="utf-8"))
    return f"in {out}: from hooked_toy import load; logits, cache = load().run_with_cache(tokens)"


def to_circuitsvis(name: str, out: Path, heads: int | None) -> str:
    """Write every head's attention in the demonstration sentence, as circuitsvis takes it."""
    model = load(name, heads)
    tokens = model.tokens()
    patterns = [attention_at(model.weights, tokens, layer)["pattern"][0] for layer in range(model.weights.n_layers)]
    given = {
        "attention": [_rounded(pattern) for layer in patterns for pattern in layer],
        "tokens": list(model.shown[tokens[0]]),
        "attention_head_names": [
            _head_name((layer, head)) for layer, of in enumerate(patterns) for head in range(len(of))
        ],
    }
    _write(out / "attention_heads.json", given)
    return "circuitsvis.attention.attention_heads(**json.load(open('attention_heads.json'))); its HTML is 8 MB"


def to_headvis(name: str, out: Path, heads: int | None) -> str:
    """Write a run of a study as data/ of HeadVis: every head's scores, and sentences at each decile of its output."""
    model = load(name, heads)
    if model.run is None:
        raise ValueError(f"{name}: HeadVis is given what a study measured; snakemake --config model=... makes one")
    scores, roles = model.run.rows("head_scores"), model.run.rows("head_roles")
    names = ["metric", "definition", "eval_set", "period"]
    scores = scores.assign(id=scores[names].astype("string").fillna("").agg("/".join, axis=1).str.rstrip("/"))
    metrics = scores.drop_duplicates("id")[["id", *names]]
    w, data = model.weights, out / "data"
    config = {"model": model.name, "n_layers": w.n_layers, "n_heads": w.n_heads, "d_model": w.d_model}
    _write(data / "config.json", {**config, "d_head": w.d_head, "metrics": _records(metrics)})
    role_of = {(row.layer, row.head): row.role for row in roles.itertuples()}
    points = []
    for layer, head in product(range(w.n_layers), range(w.n_heads)):
        rows = scores[(scores["layer"] == layer) & (scores["head"] == head)].set_index("id")
        point = {"id": _head_name((layer, head)), "layer": layer, "head": head, "role": role_of.get((layer, head))}
        points.append(point | {"metrics": _known(rows["value"]), "chance": _known(rows["chance"])})
    _write(data / "scatter_data.json", {"heads": points})
    shown = dict(sentences_of_heads(model))
    for point in points:
        sentences = shown[point["layer"], point["head"]]
        _write(data / f"heads/{point['id']}.json", point | {"sequences": sentences})
    return (
        "data/ by the names that HeadVis documents; what its pages expect within the files could not be checked, and "
        "projections of Q, K, O and V are not there"
    )


def sentences_of_heads(model: Model) -> Iterator[tuple[Head, list[dict[str, Any]]]]:
    """Yield every head and its sentences: at each decile of the mean length of what it writes, the strongest first."""
    assert model.run is not None
    frame = read_file(SEQUENCES, model.run.folder("probe") / f"{SEQUENCES.name}.parquet")
    tokens = sequences_of(frame, SHOWN_OF)
    order = torch.linspace(len(tokens) - 1, 0, min(10 * model.asked.exported, len(tokens))).round().long()
    for layer in range(model.weights.n_layers):
        computed = attention_at(model.weights, tokens, layer)
        for head, W_O in enumerate(model.weights.W_O[layer]):
            length = (computed["z"][:, head] @ W_O).norm(dim=-1).mean(-1)
            places = length.argsort()[order]
            yield (
                (layer, head),
                [
                    {
                        "sentence": int(place),
                        "decile": int(10 * rank // len(tokens)),
                        "activation": round(float(length[place]), DECIMALS),
                        "tokens": list(model.shown[tokens[place]]),
                        "attention": _rounded(computed["pattern"][place, head]),
                    }
                    for rank, place in zip(order.tolist(), places.tolist(), strict=True)
                ],
            )


WRITERS: dict[str, Callable[[str, Path, int | None], str]] = {
    "headvis": to_headvis,
    "circuitsvis": to_circuitsvis,
    "transformer_lens": to_transformer_lens,
    "huggingface": to_huggingface,
    "csv": to_csv,
}


def _head_name(head: Head) -> str:
    return f"L{head[0]}H{head[1]}"


def _rounded(pattern: torch.Tensor) -> list[list[float]]:
    return pattern.double().round(decimals=DECIMALS).tolist()


def _known(values: pd.Series) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.dropna().items()}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records"))


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")
