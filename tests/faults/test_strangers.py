"""Whoever made a model folder gets nothing run, and nothing of a person's own is changed."""

import io
import json
import os
import stat
import sys
from contextlib import suppress

import pytest
import torch

from pipeline.models.hub import obtain_hub
from pipeline.models.notebook_checkpoint import obtain_notebook_checkpoint
from pipeline.models.own_forward import own_forward
from pipeline.models.tokenizer import loaded_tokenizer, trained_tokenizer
from pipeline.plumbing.artefacts import atomic

CLASSES = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM")


@pytest.fixture(params=["yes", "closed"])
def stdin(request, monkeypatch):
    """Somebody who consents to whatever is asked, or nobody."""
    stream = io.StringIO("yes\n" * 99)
    if request.param == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.fixture
def bring_code():
    """Put code into a folder that leaves a sign where it runs; return the sign's place."""

    def bring(folder, name, **changes):
        sign = folder / "ran"
        (folder / "own.py").write_text(f"open({str(sign)!r}, 'w')\nclass Own: pass\n")
        told = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        maps = dict.fromkeys(CLASSES, "own.Own") | {"AutoTokenizer": ["own.Own", "own.Own"]}
        (folder / name).write_text(json.dumps(told | {"auto_map": maps} | changes))
        return sign

    return bring


@pytest.mark.usefixtures("stdin")
@pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("changes", [{"tokenizer_class": "Own", "model_type": "own"}, {}])
def test_no_code_of_a_tokenizer_is_run(bring_code, tmp_path, name, changes):
    trained_tokenizer(["a text"], 259).save(str(tmp_path / "tokenizer.json"))
    sign = bring_code(tmp_path, name, **changes)
    with suppress(ValueError):
        loaded_tokenizer(str(tmp_path), add_begin_and_end=False)
    assert not sign.exists()


@pytest.mark.usefixtures("stdin")
def test_no_code_of_a_configuration_is_run(bring_code, save, tmp_path):
    folder, _ = save("llama")
    files = tmp_path / "config.json", tmp_path / "model.safetensors"
    sign = bring_code(folder, "config.json")
    obtain_hub(str(folder), False, *files)
    assert "auto_map" not in json.loads(files[0].read_text())
    bring_code(folder, "config.json", model_type="own")
    with pytest.raises(ValueError, match="'own' is not a known family"):
        obtain_hub(str(folder), False, *files)
    assert not sign.exists()


@pytest.mark.usefixtures("stdin")
@pytest.mark.parametrize("changes", [{}, {"model_type": "bert"}])
def test_no_code_of_a_model_is_run(bring_code, save, changes):
    folder, _ = save("llama" if not changes else "bert")
    sign = bring_code(folder, "config.json", **changes)
    own_forward(folder)
    assert not sign.exists()


def test_every_class_of_the_library_is_told_so(save, monkeypatch):
    import transformers

    told = []
    for name in ("AutoConfig", "AutoTokenizer", "AutoModelForCausalLM", "AutoModelForMaskedLM"):
        load = getattr(transformers, name).from_pretrained

        def noted(*args, load=load, **options):
            told.append(options["trust_remote_code"])
            return load(*args, **options)

        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", noted)
    for name in ("llama", "bert"):
        folder, _ = save(name, name)
        own_forward(folder)
        obtain_hub(str(folder), False, folder / "config.json", folder / "model.safetensors.out")
    trained_tokenizer(["a text"], 259).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    loaded_tokenizer(str(folder), add_begin_and_end=False)
    assert told == [False] * len(told)
    assert len(told) >= 5


class Harmful:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_refused_pickle_is_not_shown_how_to_be_run(save, tmp_path):
    folder, _ = save("gpt2")
    (folder / "model.safetensors").unlink()
    torch.save({"x": Harmful()}, folder / "pytorch_model.bin")
    files = tmp_path / "config.json", tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match="holds more than tensors") as of_hub:
        obtain_hub(str(folder), True, *files)
    with pytest.raises(ValueError, match="cannot be read as tensors only") as of_notebook:
        obtain_notebook_checkpoint(folder / "pytorch_model.bin", 2, *files)
    for error in (of_hub, of_notebook):
        assert "weights_only" not in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", [0o444, 0o600])
def test_a_checkpoint_that_is_linked_to_keeps_its_mode(tmp_path, mode):
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"weights")
    own.chmod(mode)
    with atomic(tmp_path / "model.safetensors") as temporary:
        temporary.symlink_to(own)
    assert stat.S_IMODE(own.stat().st_mode) == mode
    assert (tmp_path / "model.safetensors").resolve() == own


def test_a_link_to_anothers_file_is_made_without_asking_them(tmp_path, monkeypatch):
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"weights")

    def refused(*args, **options):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)  # as of a file of another user, for all but root
    with atomic(tmp_path / "model.safetensors") as temporary:
        temporary.symlink_to(own)
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"


def test_what_a_killed_job_linked_to_is_not_written_through(tmp_path):
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"weights")
    (tmp_path / ".model.safetensors.tmp").symlink_to(own)
    with atomic(tmp_path / "model.safetensors") as temporary:
        temporary.write_bytes(b"others")
    assert own.read_bytes() == b"weights"
    assert (tmp_path / "model.safetensors").read_bytes() == b"others"
