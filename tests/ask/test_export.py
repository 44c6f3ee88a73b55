import json

import pandas as pd
import pytest
import torch

from pipeline.ask.export import WRITERS, export
from pipeline.ask.loading import load
from pipeline.models.tiny import save_tiny


def test_csv_is_every_table(made, tmp_path):
    export(str(made.study), "csv", tmp_path / "out", None)
    names = {file.stem for file in made.study.glob("*.parquet")}
    assert {file.stem for file in (tmp_path / "out").iterdir()} == names
    for name in ("head_scores", "attention_terms"):
        expected = pd.read_parquet(made.study / f"{name}.parquet")
        found = pd.read_csv(tmp_path / f"out/{name}.csv")
        assert list(found) == list(expected)
        pd.testing.assert_series_equal(found["value"], expected["value"])
        assert (found["head"] == expected["head"]).all()


def test_circuitsvis_gets_every_pattern(made, model, tmp_path):
    export(f"{made.study}:base/0", "circuitsvis", tmp_path, None)
    given = json.loads((tmp_path / "attention_heads.json").read_text())
    assert given["attention_head_names"] == ["L0H0", "L0H1", "L1H0", "L1H1"]
    assert len(given["tokens"]) == model.tokens().shape[1]
    for name, pattern in zip(["0.0", "0.1", "1.0", "1.1"], given["attention"], strict=True):
        torch.testing.assert_close(torch.tensor(pattern), model.head(name).pattern(), atol=6e-5, rtol=0)


def test_headvis_gets_scores_and_sentences_from_most_to_least(made, tmp_path):
    export(f"{made.study}:base/0", "headvis", tmp_path, None)
    config = json.loads((tmp_path / "data/config.json").read_text())
    assert (config["n_layers"], config["n_heads"]) == (2, 2)
    scatter = json.loads((tmp_path / "data/scatter_data.json").read_text())["heads"]
    rows = made.tables["head_scores"]
    rows = rows[(rows["layer"] == 1) & (rows["head"] == 0) & (rows["metric"] == "previous_token")]
    mean = rows[(rows["definition"] == "mean") & (rows["eval_set"] == "text")]["value"].item()
    assert {point["id"]: point for point in scatter}["L1H0"]["metrics"]["previous_token/mean/text"] == mean
    assert {metric["id"] for metric in config["metrics"]} >= set(scatter[0]["metrics"])
    head = json.loads((tmp_path / "data/heads/L1H0.json").read_text())
    lengths = [sentence["activation"] for sentence in head["sequences"]]
    assert lengths == sorted(lengths, reverse=True)
    assert [sentence["decile"] for sentence in head["sequences"]] == [6, 3, 0]  # of three sentences
    for sentence in head["sequences"]:
        assert torch.tensor(sentence["attention"]).sum(-1) == pytest.approx(1, abs=1e-3)
        assert len(sentence["tokens"]) == len(sentence["attention"])


def test_a_checkpoint_is_what_transformers_loads(tmp_path):
    from transformers import AutoModelForCausalLM

    save_tiny("gpt2", tmp_path / "made", torch.Generator().manual_seed(0))
    export(str(tmp_path / "made"), "huggingface", tmp_path / "out", None)
    tokens = torch.arange(5)[None]
    with torch.no_grad():
        logits = [AutoModelForCausalLM.from_pretrained(tmp_path / name)(tokens).logits for name in ("made", "out")]
    assert torch.equal(*logits)
    told = "TransformerLens reads gpt2 itself"
    with pytest.raises(ValueError, match=told):
        export(str(tmp_path / "made"), "transformer_lens", tmp_path / "lens", None)


def test_parameters_are_saved_under_the_librarys_names(made, tmp_path):
    from safetensors.torch import load_file

    export(str(made.folder), "transformer_lens", tmp_path, None)
    state, weights = load_file(tmp_path / "model.safetensors"), load(made.folder).weights
    assert torch.equal(state["blocks.1.attn.W_Q"], weights.W_Q[1])
    assert torch.equal(state["pos_embed.W_pos"], weights.W_pos)
    compile((tmp_path / "hooked_toy.py").read_text(), "hooked_toy.py", "exec")


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("huggingface", "transformers has no class for the toy, whose positions enter queries and keys alone"),
        ("headvis", "HeadVis is given what a study measured"),
        ("csv", "no study there"),
        ("word", f"ask for {', '.join(WRITERS)}"),
    ],
)
def test_what_cannot_be_exported_is_said(made, tmp_path, to, told):
    with pytest.raises(ValueError, match=told):
        export(str(made.folder), to, tmp_path / "out", None)


def test_nothing_is_written_over(made, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match="holds files already; name another folder"):
        export(str(made.study), "csv", tmp_path, None)
