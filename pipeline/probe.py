"""Draw the sequences that every model of a study is measured on."""

from collections.abc import Iterator

import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Generator, Tensor

from pipeline.frames.tensors import to_frame
from pipeline.models.sequences import TOKEN_CLASSES, Copies, joined, periodic_rows, text_rows, with_copies
from pipeline.models.tokenizer import encode, role_ids, saved_tokenizer, spells_text
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.stage import main
from pipeline.settings.probe import ProbeSettings
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.probe import SEQUENCES


def run(settings: ProbeSettings, inputs: Paths, outputs: Paths) -> None:
    """Draw each set and write them as one table."""
    torch.set_num_threads(settings.threads)
    tokens, vocabulary = read(TOKENS, inputs), read(VOCABULARY, inputs)
    shown = vocabulary.set_index("token_id")["token"]
    frames = []
    tokenizer = saved_tokenizer(inputs.file("tokenizer.json"))
    for eval_set, period, ids, classes in drawn(settings, tokens, tokenizer):
        frame = to_frame("sentence position", token_id=ids, token_class=classes)
        frame["token_class"] = frame["token_class"].map(dict(enumerate(TOKEN_CLASSES)))
        frames.append(frame.assign(eval_set=eval_set, period=period))
    sequences = pd.concat(frames).astype({"period": "Int64"})
    sequences["token"] = sequences["token_id"].map(shown)
    write(SEQUENCES, sequences, outputs)


def drawn(
    settings: ProbeSettings, tokens: pd.DataFrame, tokenizer: Tokenizer
) -> Iterator[tuple[str, int | None, Tensor, Tensor]]:
    """Yield each set of sequences: its name, its period, ids and token classes [sentence, position]."""
    begin, end = role_ids(tokenizer)
    heldout = joined(tokens.loc[tokens["split"] == "heldout", "token_ids"], end)
    known = joined(tokens.loc[tokens["split"] == "train", "token_ids"], None).unique()
    generator = Generator().manual_seed(settings.seed)
    size = (settings.sentences, settings.n_ctx)

    text = text_rows(heldout, *size, begin, generator)
    yield "text", None, text, torch.zeros_like(text)
    copies = Copies(1.0, settings.min_length, settings.max_length)
    yield "repeated_text", None, *with_copies(text_rows(heldout, *size, begin, generator), copies, begin, generator)
    for period in settings.periods:
        yield "repeated_tokens", period, *periodic_rows(known, *size, period, begin, generator)
    if spells_text(tokenizer):
        ids = [] if begin is None else [begin]
        demo = torch.tensor([ids + encode(tokenizer, [settings.demo])[0]])[:, : settings.n_ctx]
        yield "demo", None, demo, torch.zeros_like(demo)
    else:
        yield "demo", None, *periodic_rows(known, 1, settings.n_ctx, settings.periods[0], begin, generator)


if __name__ == "__main__":
    main(ProbeSettings, run)
