"""Draw the sequences that every model of a study is measured on."""

from collections.abc import Iterable, Iterator

import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Generator, Tensor

from pipeline.frames.tensors import to_frame
from pipeline.models.sequences import (
    SECOND_COPY,
    TOKEN_CLASSES,
    Copies,
    joined,
    natural_repeats,
    periodic_rows,
    windows,
    with_copies,
)
from pipeline.models.tokenizer import encode, role_ids, saved_tokenizer, spells_text
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.stage import main
from pipeline.settings.probe import ProbeSettings
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.probe import LOSS_SEQUENCES, SEQUENCES

OTHER_SOURCE = "other_"  # begins the names of sets made of text from another source
FEWEST = 4  # windows that make a set: two to choose by, and two to judge by
Drawn = tuple[str, int | None, Tensor, Tensor]  # a set's name, its period, ids and token classes [sentence, position]


def run(settings: ProbeSettings, inputs: Paths, outputs: Paths) -> None:
    """Draw each set and write all it has for losses alone, and the first of it for everything."""
    torch.set_num_threads(settings.threads)
    tokens, vocabulary = read(TOKENS, inputs), read(VOCABULARY, inputs)
    tokenizer = saved_tokenizer(inputs.whole("tokenizer.json"))
    generator = Generator().manual_seed(settings.seed)
    texts = list(of_text(settings, tokens, *role_ids(tokenizer), generator))
    write(LOSS_SEQUENCES, framed(texts), outputs)
    first = [
        (name, period, ids[: settings.sentences], classes[: settings.sentences])
        for name, period, ids, classes in texts
        if not name.startswith(OTHER_SOURCE)  # on which only losses are measured
    ]
    sequences = framed([*first, *made_up(settings, tokens, tokenizer, generator)])
    sequences["token"] = sequences["token_id"].map(vocabulary.set_index("token_id")["token"])
    write(SEQUENCES, sequences, outputs)


def framed(sets: Iterable[Drawn]) -> pd.DataFrame:
    """Return sets of sequences as one long table."""
    frames = []
    for eval_set, period, ids, classes in sets:
        frame = to_frame("sentence position", token_id=ids, token_class=classes)
        frame["token_class"] = frame["token_class"].map(dict(enumerate(TOKEN_CLASSES)))
        frames.append(frame.assign(eval_set=eval_set, period=period))
    return pd.concat(frames).astype({"period": "Int64"})


def of_text(
    settings: ProbeSettings, tokens: pd.DataFrame, begin: int | None, end: int | None, generator: Generator
) -> Iterator[Drawn]:
    """Yield the sets made of text, each as long as `loss_sequences` has it; of few windows there is none.

    Raises:
        ValueError: the held-out text has fewer windows than `sequences` needs.
    """
    heldout, other = (
        windows(joined(tokens.loc[tokens["split"] == split, "token_ids"], end), settings.n_ctx, begin, generator)
        for split in ("heldout", "other")
    )
    if len(heldout) < settings.sentences:
        raise ValueError(
            f"the held-out text has {len(heldout)} windows of {settings.n_ctx} tokens that share none, fewer than "
            f"probe.sentences={settings.sentences}; lower that, raise data.heldout_fraction or bring more text"
        )
    yield from with_and_without_copies(settings, heldout, "", begin, generator)
    classes = natural_repeats(heldout, settings.repeat_tokens, begin)
    repeating = (classes == SECOND_COPY).any(dim=1)
    if (found := int(repeating.sum())) < FEWEST:
        print(f"natural_repeats: {found} windows of text repeat {settings.repeat_tokens} tokens; left out")
    else:
        chosen = slice(settings.loss_copies)
        yield "natural_repeats", None, heldout[repeating][chosen], classes[repeating][chosen]
    if len(other) < FEWEST:
        print(f"{OTHER_SOURCE}text: text from another source has {len(other)} windows; left out")
    else:
        yield from with_and_without_copies(settings, other[: settings.loss_copies], OTHER_SOURCE, begin, generator)


def with_and_without_copies(
    settings: ProbeSettings, text: Tensor, prefix: str, begin: int | None, generator: Generator
) -> Iterator[Drawn]:
    """Yield windows of text as they are; and with a copied segment, from those on that `sequences` has as they are."""
    yield f"{prefix}text", None, text[: settings.loss_sentences], torch.zeros_like(text)[: settings.loss_sentences]
    copies = Copies(1.0, settings.min_length, settings.max_length)
    others = text.roll(-settings.sentences, 0)[: settings.loss_copies]
    yield f"{prefix}repeated_text", None, *with_copies(others, copies, begin, generator)


def made_up(
    settings: ProbeSettings, tokens: pd.DataFrame, tokenizer: Tokenizer, generator: Generator
) -> Iterator[Drawn]:
    """Yield the sets that no text holds: random tokens that repeat, and the demonstration."""
    begin, _ = role_ids(tokenizer)
    known = joined(tokens.loc[tokens["split"] == "train", "token_ids"], None).unique()
    for period in settings.periods:
        size = (settings.sentences, settings.n_ctx)
        yield "repeated_tokens", period, *periodic_rows(known, *size, period, begin, generator)
    if spells_text(tokenizer):
        ids = [] if begin is None else [begin]
        demo = torch.tensor([ids + encode(tokenizer, [settings.demo])[0]])[:, : settings.n_ctx]
        yield "demo", None, demo, torch.zeros_like(demo)
    else:
        yield "demo", None, *periodic_rows(known, 1, settings.n_ctx, settings.periods[0], begin, generator)


if __name__ == "__main__":
    main(ProbeSettings, run)
