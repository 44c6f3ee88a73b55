import pytest
import torch
from training_stages import PROBING, made, prepared, prepared_text

from pipeline import probe
from pipeline.frames.tensors import labels_of, sequences_of
from pipeline.plumbing.artefacts import read
from pipeline.settings.probe import ProbeSettings
from pipeline.tables.probe import SEQUENCES


@pytest.fixture(scope="module")
def random_tokens(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("random_tokens"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return prepared_text(tmp_path_factory.mktemp("text"))


@pytest.mark.parametrize("kind", ["text", "random_tokens"])
def test_probe_draws_every_set(kind, tmp_path, request):
    outputs = made(tmp_path, ["sequences.parquet"])
    probe.run(ProbeSettings.parse(PROBING), request.getfixturevalue(kind), outputs)
    sequences = read(SEQUENCES, outputs)
    assert set(sequences["eval_set"]) == {"text", "repeated_text", "repeated_tokens", "demo"}
    for eval_set, period in (("text", None), ("repeated_text", None), ("repeated_tokens", 4), ("repeated_tokens", 7)):
        rows = sequences_of(sequences, eval_set, period)
        assert rows.shape == (5, 16)
        assert (rows[:, 0] == 0).all()
        if period:
            assert torch.equal(rows[:, 1 + period :], rows[:, 1:-period])
    demo = "".join(labels_of(sequences, "demo", None, "token")[0])
    assert demo.startswith("[BEGIN]ĠtheĠcatĠsat" if kind == "text" else "[BEGIN]")
