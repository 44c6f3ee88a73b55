"""Score every head and every pair of heads, by every published definition: what it attends to, copies, feeds."""

import json
from collections.abc import Iterator
from itertools import combinations

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.scores import pair_scores, text_scores
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.head_scores import circuit_scores, sequence_scores
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.models.weights_table import weights_in
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.frames import together
from pipeline.plumbing.stage import main
from pipeline.plumbing.tensors import sequences_of, to_frame
from pipeline.scoring import chance
from pipeline.scoring.rows import rows, sentence_rows
from pipeline.settings.score import ScoreSettings
from pipeline.tables import score as tables
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES


def run(settings: ScoreSettings, inputs: Paths, outputs: Paths) -> None:
    """Run the model on every set of sequences, read its circuits, follow its pairs of heads."""
    torch.set_num_threads(settings.threads)
    step = json.loads(inputs.file("config.json").read_text(encoding="utf-8")).get("step")
    weights = weights_in(read_parts(WEIGHTS, inputs))
    sequences, vocabulary = read(SEQUENCES, inputs), read(VOCABULARY, inputs)
    first = int((vocabulary["role"] == "begin").any())

    # Patterns are scored, and tokens predicted, from earlier tokens alone.
    measured = list(on_sequences(settings, weights, sequences, first)) if weights.attends == "back" else []
    scores, sentences, losses = ([each[which] for each in measured] for which in range(3))
    scores = together(tables.HEAD_SCORES, [*scores, *of_circuits(settings, weights)], step=step)
    pairs = together(tables.HEAD_PAIRS, of_pairs(settings, weights, sequences), step=step)
    comparison = chance.Comparison(settings, weights, chance.at_step_0(inputs), sequences, first)
    scores, nulls = comparison.heads(scores)
    pairs, pair_nulls = comparison.pairs(pairs)
    write(tables.HEAD_SCORES, scores, outputs)
    write(tables.HEAD_PAIRS, pairs, outputs)
    write(tables.NULLS, nulls.assign(step=step), outputs)
    write(tables.PAIR_NULLS, pair_nulls.assign(step=step), outputs)
    write(tables.SENTENCE_SCORES, together(tables.SENTENCE_SCORES, sentences), outputs)
    write(tables.LOSS_BY_POSITION, together(tables.LOSS_BY_POSITION, losses, step=step), outputs)
    promoted = virtual_tokens(settings, weights, sequences, vocabulary)
    write(tables.VIRTUAL_HEADS, together(tables.VIRTUAL_HEADS, promoted), outputs)


def resamples(settings: ScoreSettings, sentences: int) -> Tensor:
    """Draw resamples [resample, sentence]: the same for every set of as many sentences."""
    return resampled_counts(sentences, settings.resamples, torch.Generator().manual_seed(settings.seed))


def on_sequences(settings: ScoreSettings, weights: Weights, sequences: pd.DataFrame, first: int) -> Iterator:
    """Yield the head scores, those of each sentence, and the losses of each set of sequences."""
    sets = sequences.loc[sequences["eval_set"] != "demo", ["eval_set", "period"]].drop_duplicates()
    for eval_set, period in tqdm(list(sets.itertuples(index=False)), desc="sequences"):
        period = None if pd.isna(period) else int(period)
        which = {"eval_set": eval_set, "period": period}
        tokens = sequences_of(sequences, **which)
        scores, losses = sequence_scores(weights, tokens, first, period, settings.batch)
        if eval_set == "text":
            folded = gains_folded(weights)
            scores |= text_scores.unigram_scores(folded, tokens, first, settings.tile)
            scores |= text_scores.prefix_scores(folded, scores["previous_token", "mean"].value)
        frame = to_frame("sentence position", loss=losses)
        frame["token_class"] = sequences_of(sequences, **which, column="token_class").ravel()
        loss = frame.dropna().groupby(["position", "token_class"])["loss"].agg(["mean", "count"]).reset_index()
        loss = loss.rename(columns={"mean": "loss", "count": "n"}).assign(**which)
        measured = rows("layer head", scores, resamples(settings, len(tokens)), **which)
        yield measured, sentence_rows(scores, **which), loss


def of_circuits(settings: ScoreSettings, weights: Weights) -> Iterator[pd.DataFrame]:
    """Yield the scores of each layer's heads that need no sequence."""
    weights, ranked = gains_folded(weights), spread(weights.d_vocab, settings.ranked_tokens)
    for layer in tqdm(range(weights.n_layers), desc="circuits"):
        scores = circuit_scores(weights, layer, ranked, settings.tile)
        yield rows("head", scores, None, layer=layer, eval_set="weights", period=None)


def of_pairs(settings: ScoreSettings, weights: Weights, sequences: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield how each pair of layers' heads compose, then what flows through the chosen layers' pairs."""
    folded, ranked = gains_folded(weights), spread(weights.d_vocab, settings.ranked_tokens)
    for source, reader in tqdm(list(combinations(range(weights.n_layers), 2)), desc="composition"):
        scores = pair_scores.composition_scores(folded, source, reader)
        yield rows("src_head dst_head", scores, None, src_layer=source, dst_layer=reader, eval_set="weights")
    trace = forward(weights, sequences_of(sequences, "text")[: settings.path_sentences])
    counts = resamples(settings, len(trace.tokens))
    for (source, head), reader in tqdm(sources(settings, weights), desc="pairs"):
        pair = {"src_layer": source, "src_head": head, "dst_layer": reader}
        scores = pair_scores.circuit_scores(folded, (source, head), reader, ranked, settings.tile)
        yield rows("dst_head", scores, None, **pair, eval_set="weights")
        scores = pair_scores.path_scores(weights, trace, (source, head), reader)
        yield rows("dst_head", scores, counts, **pair, eval_set="text")


def sources(settings: ScoreSettings, weights: Weights) -> list[tuple[tuple[int, int], int]]:
    """List ((layer, head) that writes, layer that reads) of the chosen pairs of layers the model has."""
    pairs = [pair for pair in settings.layer_pairs if pair[1] < weights.n_layers]
    return [((source, head), reader) for source, reader in pairs for head in range(weights.n_heads)]


def virtual_tokens(
    settings: ScoreSettings, weights: Weights, sequences: pd.DataFrame, vocabulary: pd.DataFrame
) -> Iterator[pd.DataFrame]:
    """Yield the tokens that the chosen pairs of heads promote on the demonstration sentence."""
    if weights.ln1_gain is not None:
        return  # what a pair adds to the logits then depends on everything else too
    trace = forward(weights, sequences_of(sequences, "demo"))
    tokens = vocabulary.set_index("token_id")["token"]
    for (source, head), reader in sources(settings, weights):
        promoted = pair_scores.promoted_tokens(weights, trace, (source, head), reader, settings.top_tokens)
        for kind, (logits, ids) in promoted.items():
            frame = to_frame("dst_head sentence position rank", logit=logits.double(), token=ids)
            frame["token"] = frame["token"].map(tokens)
            frame["dst_head"] = f"{reader}." + frame["dst_head"].astype(str)
            yield frame.assign(src_head=f"{source}.{head}", kind=kind)


if __name__ == "__main__":
    main(ScoreSettings, run)
