import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from weights_frame import weights_frame

from pipeline import decompose
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.decompose import DecomposeSettings
from pipeline.tables.decompose import ATTENTION_TERMS, OFFSET_PROFILES, SENTENCE_PATTERNS, SENTENCE_TERMS, TERM_MAPS
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES

D_VOCAB, LENGTH, SENTENCES, N_HEADS, SHOWN = 12, 9, 5, 2, 4
WRITES = (ATTENTION_TERMS, SENTENCE_TERMS, OFFSET_PROFILES, TERM_MAPS, SENTENCE_PATTERNS)
SETTINGS = {
    "apart": 2,
    "batch": 2,
    "confidence": 0.95,
    "resamples": 40,
    "seed": 0,
    "map_tokens": SHOWN,
    "pattern_sentences": 2,
    "threads": 1,
}


def sequences(sentences=SENTENCES):
    generator = torch.Generator().manual_seed(1)
    parts = []
    for eval_set, count in (("text", sentences), ("demo", 1)):
        ids = torch.randint(D_VOCAB, (count, LENGTH), generator=generator).numpy()
        sentence, position = np.indices(ids.shape).reshape(2, -1)
        parts.append(pd.DataFrame({"eval_set": eval_set, "sentence": sentence, "position": position}))
        parts[-1]["token_id"] = ids.ravel()
    frame = pd.concat(parts)
    return frame.assign(period=None, token="t" + frame["token_id"].astype(str), token_class="other")


def vocabulary(begins):
    names = [f"t{token}" for token in range(D_VOCAB)]
    role = ["begin" if begins else "text", *["text"] * (D_VOCAB - 1)]
    return pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "text": names, "role": role})


def save_toy(folder, positions="queries_and_keys", n_layers=2):
    shape = {"n_layers": n_layers, "n_heads": N_HEADS, "d_model": 8, "n_ctx": LENGTH, "d_vocab": D_VOCAB}
    config = {"model_type": "attention_only", "positions": positions, "tied": False, "step": 7, **shape}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(config))
    generator = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(x.shape, generator=generator) / 2 for name, x in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def save_gpt2(folder):
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_layer": 3, "n_head": N_HEADS, "n_embd": 8, "n_positions": LENGTH, "vocab_size": D_VOCAB}
    model = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0))
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 2
    model.save_pretrained(folder)


@pytest.fixture
def files(tmp_path):
    names = ("weights.parquet", "sequences.parquet", "vocabulary.parquet", "config.json")
    return Paths([tmp_path / name for name in names]), Paths([tmp_path / f"{table.name}.parquet" for table in WRITES])


@pytest.fixture
def run(files, tmp_path):
    inputs, outputs = files

    def run_on(save=save_toy, sentences=SENTENCES, settings=SETTINGS, begins=False, **options):
        save(tmp_path, **options)
        write(VOCABULARY, vocabulary(begins), inputs)
        config = json.loads((tmp_path / "config.json").read_text())
        weights = to_weights(config, load_file(tmp_path / "model.safetensors").__getitem__)
        write(WEIGHTS, weights_frame(weights), inputs)
        write(SEQUENCES, sequences(sentences), inputs)
        decompose.run(DecomposeSettings.parse(settings), inputs, outputs)
        return {table.name: read(table, outputs) for table in WRITES}

    return run_on


def test_every_term_of_every_head_is_there(run):
    tables = run()
    rows = tables["attention_terms"]
    assert set(rows["step"]) == {7}
    assert set(rows["n"]) == {SENTENCES}
    pairs = rows[["layer", "head", "query_source", "key_source"]].drop_duplicates().groupby(["layer", "head"]).size()
    assert pairs.to_dict() == {(layer, head): (2 + layer * N_HEADS) ** 2 + 4 for layer in (0, 1) for head in (0, 1)}
    shares = rows[(rows["statistic"] == "share") & (rows["query_source"] != "total")]
    merged = (shares["query_source"] == "stream") | (shares["key_source"] == "stream")
    np.testing.assert_allclose(shares[~merged].groupby(["layer", "head"])["value"].sum(), 1)
    variance = rows[rows["statistic"] == "variance"].set_index("component")["value"]
    parts = variance[["between_sentences", "between_positions", "residual"]].groupby(level=0).sum().sum()
    assert parts == pytest.approx(variance["all"].sum())


@pytest.mark.parametrize("name", ["attention_terms", "offset_profiles"])
def test_a_model_with_begin_is_described_with_and_without_it(run, name):
    alone, both = run()[name], run(begins=True)[name]
    assert set(alone["keys"]) == {"all"}
    pd.testing.assert_frame_equal(both[both["keys"] == "all"].reset_index(drop=True), alone)
    rest = both[both["keys"] == "no_begin"]
    assert set(rest["layer"]) == {0, 1}
    if name == "offset_profiles":
        assert set(rest["offset"]) == set(range(LENGTH - 1))
    else:
        key = [column for column in ATTENTION_TERMS.key if column != "keys"]
        assert len(rest.merge(alone, on=key)) == len(rest) == len(alone)


def test_sentences_of_the_first_layer_make_its_statistics(run):
    tables = run(begins=True)
    rows, names = tables["sentence_terms"], ["layer", "head", "query_source", "key_source", "statistic", "keys"]
    statistics, four, keys = 3, 4, 2
    assert len(rows) == N_HEADS * four * statistics * keys * SENTENCES
    parts = rows.assign(value=rows["value"] * rows["weight"]).groupby(names)[["value", "weight"]].sum()
    whole = tables["attention_terms"].query("component == 'all'").set_index(names)["value"]
    diagonal = tables["offset_profiles"].query("offset == 0").assign(statistic="diagonal").set_index(names)
    whole = pd.concat([whole, diagonal["mean_score"]]).reindex(parts.index)
    np.testing.assert_allclose(parts["value"] / parts["weight"], whole, rtol=0, atol=1e-12)


def test_profiles_give_attention_for_the_whole_only(run):
    rows = run()["offset_profiles"]
    whole = rows["query_source"] == "total"
    assert rows.loc[~whole, "mean_pattern"].isna().all()
    assert rows.loc[whole, "mean_pattern"].notna().all()
    assert (rows.groupby(["layer", "head", "query_source", "key_source"])["offset"].nunique() == LENGTH).all()


def test_maps_show_the_first_tokens_and_add_up(run):
    rows = run()["term_maps"]
    assert rows["query"].max() == SHOWN - 1
    assert (rows["key"] <= rows["query"]).all()
    whole = rows["query_source"] == "total"
    entry = ["layer", "head", "query", "key"]
    parts = rows[~whole].groupby(entry)["score"].sum()
    np.testing.assert_allclose(parts, rows[whole].set_index(entry).sort_index()["score"], atol=1e-5)
    np.testing.assert_allclose(rows[whole].groupby(["layer", "head", "query"])["pattern"].sum(), 1, atol=1e-6)
    shown = sequences().query("eval_set == 'demo'").set_index("position")["token"]
    assert (rows["query_token"] == rows["query"].map(shown)).all()
    assert (rows["key_token"] == rows["key"].map(shown)).all()


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ({"positions": "none"}, {"token", "0.0", "0.1", "stream", "total"}),
        ({"n_layers": 1}, {"token", "position", "stream", "total"}),
        ({"n_layers": 3}, {"token", "position", "0.0", "0.1", "attention.0", "attention.1", "stream", "total"}),
    ],
)
def test_sources_are_those_the_model_has(run, options, sources):
    assert set(run(**options)["attention_terms"]["key_source"]) == sources


def test_a_gpt2_has_its_parts_and_constants_as_sources(run):
    tables = run(save_gpt2)
    assert tables["attention_terms"]["step"].isna().all()
    assert {"bias", "mlp.0", "mlp.1", "attention.1"} <= set(tables["attention_terms"]["query_source"])


def test_what_the_first_layers_of_a_deep_model_wrote_is_merged_and_nothing_is_lost(run):
    merged = run(n_layers=4)["attention_terms"]
    assert set(merged.query("layer == 3")["key_source"]) == {
        *("token", "position", "attention.0", "attention.1", "attention.2", "stream", "total")
    }
    merged = run(n_layers=4, settings=SETTINGS | {"apart": 1})["attention_terms"]
    assert set(merged.query("layer == 3")["key_source"]) == {
        *("token", "position", "attention.0-1", "attention.2", "stream", "total")
    }
    shares = merged[(merged["statistic"] == "share") & ~merged["key_source"].isin(["stream", "total"])]
    shares = shares[~shares["query_source"].isin(["stream", "total"])]
    np.testing.assert_allclose(shares.groupby(["layer", "head"])["value"].sum(), 1)


def test_portions_bound_memory_and_change_nothing(run):
    whole, portioned = run(save_gpt2, settings=SETTINGS | {"batch": 100}), run(save_gpt2)
    for name, column in {"attention_terms": "value", "offset_profiles": "mean_score", "term_maps": "score"}.items():
        np.testing.assert_allclose(whole[name][column], portioned[name][column], atol=1e-9)


def test_one_sentence_has_values_without_intervals(run):
    rows = run(sentences=1)["attention_terms"]
    assert len(rows) > 0
    assert rows[["lo", "hi"]].isna().all().all()


def test_equal_inputs_give_equal_bytes(run, files):
    run()
    first = [file.read_bytes() for file in files[1].files]
    run()
    assert [file.read_bytes() for file in files[1].files] == first


@pytest.mark.parametrize(("name", "why"), [("bert", "attends both ways"), ("gemma2", "caps its scores")])
def test_a_model_whose_scores_no_softmax_reads_as_a_sum_is_not_described(name, why, run, capsys):
    def save(folder):
        from tiny_checkpoints import model_of

        model_of(name, vocab_size=D_VOCAB, num_attention_heads=N_HEADS).save_pretrained(folder)

    assert all(frame.empty for table, frame in run(save).items() if table != "sentence_patterns")
    assert why in capsys.readouterr().out


def test_attention_in_the_first_sentences_of_every_set_is_that_of_the_model(run, tmp_path):
    rows = run()["sentence_patterns"]
    assert rows.groupby("eval_set")["sentence"].nunique().to_dict() == {"demo": 1, "text": 2}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(json.loads((tmp_path / "config.json").read_text())))
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    tokens = sequences().query("eval_set == 'text'")["token_id"].to_numpy(copy=True).reshape(SENTENCES, LENGTH)
    pattern = model.trace(torch.as_tensor(tokens)).pattern
    for row in rows[rows["eval_set"] == "text"].itertuples():
        expected = pattern[row.sentence, row.layer, row.head][torch.ones(LENGTH, LENGTH).tril() > 0]
        np.testing.assert_allclose(np.array(row.attention) / 100, expected.detach(), atol=0.0051)
