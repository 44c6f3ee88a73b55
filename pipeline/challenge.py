"""Put every head to sequences where position, habit or rarity would mislead it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from pipeline.circuits.definitions.measure_heads import challenge_scores
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.transformer.weights import Weights
from pipeline.frames.tensors import to_frame
from pipeline.frames.weights import weights_in
from pipeline.models.challenges import Recipe, Sizes, drawn, recipes
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.challenge import ChallengeSettings
from pipeline.tables.challenge import CHALLENGE_SCORES
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY


def run(settings: ChallengeSettings, inputs: Paths, outputs: Paths) -> None:
    """Draw the sequences, run the model on them, and say what its heads and its predictions did."""
    torch.set_num_threads(settings.threads)
    weights = weights_in(read_parts(WEIGHTS, inputs))
    frames = [pd.DataFrame(columns=CHALLENGE_SCORES.names)]
    if weights.attends == "back":
        challenges = list(sequences(settings, read(TOKENS, inputs), read(VOCABULARY, inputs)))
        for recipe, drawn_tokens in tqdm(challenges, desc="challenges"):
            if fits(weights, recipe, drawn_tokens):
                frames.append(rows(settings, weights, recipe, drawn_tokens))
    else:
        print("the model attends both ways: what it repeats is not foretold by what came before")
    write(CHALLENGE_SCORES, pd.concat(frames).astype({"layer": "Int64", "head": "Int64"}), outputs)


def sequences(
    settings: ChallengeSettings, tokens: pd.DataFrame, vocabulary: pd.DataFrame
) -> Iterator[tuple[Recipe, Tensor]]:
    """Yield each challenge and its sequences [sentence, position]: the same for every model with these tokens."""
    ids = vocabulary.groupby("role")["token_id"].apply(list)
    begin = ids["begin"][0] if "begin" in ids else None
    trained = np.concatenate(tokens.loc[tokens["split"] == "train", "token_ids"].to_list())
    counts = torch.as_tensor(np.bincount(trained, minlength=len(vocabulary)))
    sizes = Sizes(settings.n_ctx, settings.segment, settings.periods, settings.lengths, settings.gaps)
    generator = Generator().manual_seed(settings.seed)
    for recipe in recipes(sizes, counts, torch.tensor(ids["text"]), begin):
        if recipe.misfit:
            print(f"{recipe.challenge} {recipe.level}: {recipe.misfit}; left out")
        else:
            yield recipe, drawn(recipe, settings.sentences, generator)


def fits(weights: Weights, recipe: Recipe, tokens: Tensor) -> bool:
    """Say whether the model can take sequences this long, and print it if not."""
    limits = [weights.window, None if weights.W_pos is None else len(weights.W_pos)]
    longest = min((limit for limit in limits if limit is not None), default=tokens.shape[1])
    if tokens.shape[1] > longest:
        print(f"{recipe.challenge} {recipe.level}: the model has {longest} positions; left out")
    return tokens.shape[1] <= longest


def rows(settings: ChallengeSettings, weights: Weights, recipe: Recipe, tokens: Tensor) -> pd.DataFrame:
    """Return one challenge's rows: of every head, and of the model; what no query tells has none."""
    context = recipe.level if recipe.challenge == "ambiguous" else None
    sequences = Tokens(tokens, int(recipe.begin is not None), context=context)
    scores = challenge_scores(weights, sequences, settings.batch)
    counts = resampled_counts(len(tokens), settings.resamples, Generator().manual_seed(settings.seed))
    frames = []
    for (metric, definition), score in scores.items():
        ends = score.interval(counts, settings.confidence)
        value, lo, hi = (torch.atleast_2d(number) for number in (score.value, *ends))
        frame = to_frame("layer head", value=value, lo=lo, hi=hi)
        frame = frame if score.value.ndim else frame.assign(layer=None, head=None)
        frames.append(frame.assign(metric=metric, definition=definition, chance=score.chance))
    scored = pd.concat(frames).dropna(subset="value")
    return scored.assign(challenge=recipe.challenge, level=recipe.level, n=len(tokens), confidence=settings.confidence)


if __name__ == "__main__":
    main(ChallengeSettings, run)
