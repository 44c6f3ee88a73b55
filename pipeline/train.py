"""Train the toy network, wire one by hand, or obtain a model made elsewhere."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor
from tqdm import tqdm

from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig, Network
from pipeline.models.constructed import constructed
from pipeline.models.hub import obtain_hub
from pipeline.models.in_format import FormatConfig, InFormat
from pipeline.models.journal import Journal, log_spaced
from pipeline.models.notebook_checkpoint import obtain_notebook_checkpoint
from pipeline.models.sequences import Copies, joined, text_rows, with_copies
from pipeline.models.tokenizer import role_ids, saved_tokenizer
from pipeline.models.training import Optimisation, Training, chosen_device, chosen_dtype, mean_losses
from pipeline.plumbing.artefacts import Paths, read, recorded, write
from pipeline.plumbing.resumption import load_progress, save_progress, size_of
from pipeline.plumbing.stage import main
from pipeline.settings.train import (
    ConstructedModel,
    HubModel,
    MadeHere,
    NotebookCheckpoint,
    Trained,
    TrainedInFormat,
    TrainSettings,
)
from pipeline.tables.prepare import TOKENS
from pipeline.tables.train import TRAINING_CURVE


def run(settings: TrainSettings, inputs: Paths, outputs: Paths) -> None:
    """Make the model folder, its checkpoints and its training curve."""
    torch.set_num_threads(settings.threads)
    tokenizer = saved_tokenizer(inputs.whole("tokenizer.json"))
    with recorded(outputs, "tokenizer.json") as temporary:
        shutil.copyfile(inputs.file("tokenizer.json"), temporary)
    model = settings.model
    if isinstance(model, HubModel | NotebookCheckpoint):
        obtained(model, tokenizer.get_vocab_size(), outputs)
        return
    if not isinstance(model, Trained):
        settings = settings.model_copy(update={"steps": 0})  # its first weights are its last

    begin, end = role_ids(tokenizer)
    tokens = read(TOKENS, inputs)
    text, heldout = (joined(tokens.loc[tokens["split"] == split, "token_ids"], end) for split in ("train", "heldout"))
    training = beginning(settings, model, tokenizer.get_vocab_size(), text, begin)
    journal = journal_of(settings, heldout, begin, training.device)
    # Not an output: those the engine removes when it starts a killed job again.
    progress = outputs.file("model.safetensors").with_name(".progress.safetensors")
    made_from = f"{outputs.provenance} {training.device} {training.dtype}".encode()
    tag = hashlib.sha256(made_from + text.numpy().tobytes() + heldout.numpy().tobytes()).hexdigest()
    train(settings, training, journal, progress, tag)
    save(training, journal, outputs)
    progress.unlink(missing_ok=True)


def obtained(model: HubModel | NotebookCheckpoint, n_tokens: int, outputs: Paths) -> None:
    """Bring a model made elsewhere into the folder; it has no past that is known."""
    with recorded(outputs, "config.json") as config, recorded(outputs, "model.safetensors") as tensors:
        if isinstance(model, HubModel):
            checkpoint = obtain_hub(model.path, model.allow_bin, config, tensors)
            known, dtypes = checkpoint.d_vocab, " and ".join(checkpoint.dtypes)
            print(f"model.path={model.path}: {known} tokens, weights {dtypes}, read as float32")
            if checkpoint.unused:
                print(f"model.path={model.path}: no part of the model, and not read: {', '.join(checkpoint.unused)}")
        else:
            known = obtain_notebook_checkpoint(Path(model.path), model.n_heads, config, tensors)
        if known < n_tokens:
            raise ValueError(
                f"model.path={model.path} knows {known} tokens, the tokenizer {n_tokens}; "
                "choose one that fits, or tokenizer=none tokenizer.d_vocab=null"
            )
    with recorded(outputs, "checkpoints.safetensors") as temporary:
        save_file({}, temporary, {"steps": "[]"})
    write(TRAINING_CURVE, pd.DataFrame(columns=TRAINING_CURVE.names), outputs)


def save(training: Training, journal: Journal, outputs: Paths) -> None:
    """Write a trained model and its journal."""
    config = dict(training.model.described()) | {"step": training.step}
    with recorded(outputs, "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    weights = training.model.cpu().state_dict()
    with recorded(outputs, "model.safetensors", size_of(weights)) as temporary:
        save_file(weights, temporary)
    with recorded(outputs, "checkpoints.safetensors", size_of(journal.checkpoints)) as temporary:
        save_file(journal.checkpoints, temporary, {"steps": json.dumps(sorted(journal.keep))})
    write(TRAINING_CURVE, pd.DataFrame(journal.curve), outputs)


def beginning(settings: TrainSettings, first: MadeHere, d_vocab: int, text: Tensor, begin: int | None) -> Training:
    """Return a training at step 0; the seed decides first weights and batches."""
    generator = Generator().manual_seed(settings.seed)
    model = network(first, d_vocab, generator)
    device = chosen_device(settings.device)
    copies = Copies(**settings.copies.model_dump())
    size = (settings.batch, first.n_ctx)

    def batch(generator: Generator) -> Tensor:
        return with_copies(text_rows(text, *size, begin, generator), copies, begin, generator)[0]

    optimisation = Optimisation.from_dict(settings.model_dump())
    return Training(model.to(device), batch, optimisation, generator, chosen_dtype(settings.precision, device))


def network(first: MadeHere, d_vocab: int, generator: Generator) -> Network:
    """Return a network with its first weights."""
    shape = first.model_dump() | {"d_vocab": d_vocab}
    if isinstance(first, TrainedInFormat):
        return InFormat(FormatConfig.from_dict(shape), generator)
    if isinstance(first, ConstructedModel):
        return constructed(Construction.from_dict(shape), generator)
    model = AttentionOnly(AttentionOnlyConfig.from_dict(shape))
    model.initialise(first.embedding_sd, first.position_sd, first.query_key_scale, generator)
    return model


def journal_of(settings: TrainSettings, heldout: Tensor, begin: int | None, device: torch.device) -> Journal:
    """Return an empty journal that measures losses on sequences of held-out text, the same for every run."""
    generator = Generator().manual_seed(settings.curve.seed)
    draw = partial(text_rows, heldout, settings.curve.sentences, settings.model.n_ctx, begin, generator)
    every_row = Copies(1.0, settings.copies.min_length, settings.copies.max_length)
    plain, (copied, classes) = draw(), with_copies(draw(), every_row, begin, generator)
    sequences = {"heldout": plain.to(device), "copied": copied.to(device), "classes": classes.to(device)}
    keep = log_spaced(settings.first_checkpoint, settings.steps, settings.checkpoints)
    interval = max(1, settings.steps // settings.curve.measurements)
    measure = {*keep, *range(0, settings.steps, interval)}
    return Journal(keep, measure, partial(mean_losses, **sequences), settings.batch * settings.model.n_ctx)


def train(settings: TrainSettings, training: Training, journal: Journal, progress: Path, tag: str) -> None:
    """Train to the end, from the start or from the progress saved under this tag."""
    if saved := load_progress(progress, tag):
        tensors, journal.curve = saved
        training.load({name.removeprefix("run/"): value for name, value in tensors.items() if name.startswith("run/")})
        journal.checkpoints = {name: value for name, value in tensors.items() if not name.startswith("run/")}
    else:
        journal.note(training)
    tokens = settings.batch * settings.model.n_ctx
    total, done = settings.steps * tokens, training.step * tokens
    with tqdm(total=total, desc="training", initial=done, unit="token", unit_scale=True, mininterval=5) as bar:
        for step, loss in training.steps():
            journal.note(training, loss)
            bar.update(tokens)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if step % settings.save_every == 0 and step < settings.steps:
                state = {f"run/{name}": value for name, value in training.state().items()}
                save_progress(progress, tag, journal.checkpoints | state, journal.curve)


if __name__ == "__main__":
    main(TrainSettings, run)
