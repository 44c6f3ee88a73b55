import numpy as np
import pytest
import torch
from training_stages import PROBING, made, prepared, prepared_text

from pipeline import probe
from pipeline.frames.tensors import labels_of, sequences_of
from pipeline.models.sequences import joined
from pipeline.plumbing.artefacts import read
from pipeline.settings.probe import ProbeSettings
from pipeline.tables.prepare import TOKENS
from pipeline.tables.probe import LOSS_SEQUENCES, SEQUENCES


@pytest.fixture(scope="module")
def random_tokens(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("random_tokens"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return prepared_text(tmp_path_factory.mktemp("text"))


def probed(inputs, folder, **changes):
    """SEQUENCES and LOSS_SEQUENCES."""
    outputs = made(folder, ["sequences.parquet", "loss_sequences.parquet"])
    probe.run(ProbeSettings.parse(PROBING | changes), inputs, outputs)
    return read(SEQUENCES, outputs), read(LOSS_SEQUENCES, outputs)


@pytest.mark.parametrize("kind", ["text", "random_tokens"])
def test_probe_draws_every_set(kind, tmp_path, request):
    sequences, _ = probed(request.getfixturevalue(kind), tmp_path)
    natural = {"natural_repeats"} if kind == "text" else set()
    assert set(sequences["eval_set"]) == {"text", "repeated_text", "repeated_tokens", "demo"} | natural
    for eval_set, period in (("text", None), ("repeated_text", None), ("repeated_tokens", 4), ("repeated_tokens", 7)):
        rows = sequences_of(sequences, eval_set, period)
        assert rows.shape == (5, 16)
        assert (rows[:, 0] == 0).all()
        if period:
            assert torch.equal(rows[:, 1 + period :], rows[:, 1:-period])
    demo = "".join(labels_of(sequences, "demo", None, "token")[0])
    assert demo.startswith("[BEGIN]ĠtheĠcatĠsat" if kind == "text" else "[BEGIN]")


def test_text_is_windows_of_the_held_out_text_that_share_no_token(random_tokens, tmp_path):
    _, losses = probed(random_tokens, tmp_path, loss_sentences=1000)
    tokens = read(TOKENS, random_tokens)
    stream = joined(tokens.loc[tokens["split"] == "heldout", "token_ids"], 1)
    rows = sequences_of(losses, "text")
    assert len(rows) == len(stream) // 15
    expected = {tuple(stream[start : start + 15].tolist()) for start in range(0, len(rows) * 15, 15)}
    assert {tuple(row) for row in rows[:, 1:].tolist()} == expected


def test_losses_are_measured_on_more_of_the_same(random_tokens, tmp_path):
    sequences, losses = probed(random_tokens, tmp_path)
    for eval_set, count in (("text", 12), ("repeated_text", 8)):
        for column in ("token_id", "token_class"):
            few, many = (labels_of(table, eval_set, None, column) for table in (sequences, losses))
            assert len(many) == count
            np.testing.assert_array_equal(few, many[:5])
    plain, copied = sequences_of(losses, "text"), sequences_of(losses, "repeated_text")
    classes = labels_of(losses, "repeated_text", None, "token_class")
    assert (classes == "second_copy").any(1).all()
    # Copies are put into the windows after those that `sequences` has as text.
    changed = copied[:7] != plain[5:]
    assert changed.any()
    assert set(classes[:7][changed]) <= {"copy_start", "second_copy"}


def test_text_that_repeats_itself_is_found(text, tmp_path):
    sequences, losses = probed(text, tmp_path)
    rows, classes = sequences_of(losses, "natural_repeats"), labels_of(losses, "natural_repeats", None, "token_class")
    assert len(rows) == 8
    for row, kinds in zip(rows.tolist(), classes, strict=True):
        ngrams = [row[place - 3 : place + 1] for place in range(4, 16)]
        repeated = [place + 4 for place, ngram in enumerate(ngrams) if ngram in ngrams[: max(place - 3, 0)]]
        assert repeated
        assert (kinds[repeated] == "second_copy").all()
    assert torch.equal(sequences_of(sequences, "natural_repeats"), rows[:5])


def test_text_that_hardly_repeats_itself_makes_no_set(random_tokens, tmp_path, capsys):
    sequences, losses = probed(random_tokens, tmp_path, repeat_tokens=7)
    assert "natural_repeats" not in {*sequences["eval_set"], *losses["eval_set"]}
    assert "natural_repeats: 0 windows of text repeat 7 tokens; left out" in capsys.readouterr().out


def test_losses_are_measured_on_text_from_another_source(tmp_path):
    inputs = prepared_text(tmp_path, other=["einops"])
    sequences, losses = probed(inputs, tmp_path, n_ctx=24)
    assert not sequences["eval_set"].str.startswith("other").any()
    tokens = read(TOKENS, inputs)
    stream = joined(tokens.loc[tokens["split"] == "other", "token_ids"], 1)
    shares = stream[: len(stream) // 23 * 23].view(-1, 23).tolist()
    plain, copied = (sequences_of(losses, name) for name in ("other_text", "other_repeated_text"))
    assert (len(plain), len(copied)) == (8, 8)
    assert all(row in shares for row in plain[:, 1:].tolist())
    classes = labels_of(losses, "other_repeated_text", None, "token_class")
    assert (classes == "second_copy").any(1).all()
    assert set(classes[:3][(copied[:3] != plain[5:]).numpy()]) <= {"copy_start", "second_copy"}


def test_without_text_from_another_source_there_are_no_sets_of_it(text, tmp_path, capsys):
    _, losses = probed(text, tmp_path)
    assert set(losses["eval_set"]) == {"text", "repeated_text", "natural_repeats"}
    assert "other_text: text from another source has 0 windows; left out" in capsys.readouterr().out


def test_a_text_with_too_few_windows_is_refused(random_tokens, tmp_path):
    changes = dict.fromkeys(["sentences", "loss_sentences", "loss_copies"], 90)
    with pytest.raises(
        ValueError, match=r"has \d+ windows of 16 tokens that share none, fewer than probe.sentences=90"
    ):
        probed(random_tokens, tmp_path, **changes)
