"""Beside every score, what chance gives: rows of `nulls` and `pair_nulls`, and the columns that scores take from them.

Scores come as the tables have them, so that none is computed twice.
"""

import json

import pandas as pd
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.chance import nulls, pair_nulls
from pipeline.circuits.chance.nulls import Chances, Draws, merged
from pipeline.circuits.chance.significance import benjamini_hochberg
from pipeline.circuits.scores import pair_scores
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.head_scores import circuit_scores, sequence_scores
from pipeline.circuits.scores.score import Score, Scores
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.models.families import to_weights
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.tensors import sequences_of, to_frame
from pipeline.settings.score import ScoreSettings
from pipeline.tables.score import PAIR_NULLS

NAMES, SETS = ["metric", "definition"], ["eval_set", "period"]
LAYERS = ["src_layer", "dst_layer"]
COMPARED = ["null_kind", "null_mean", "null_sd", "z", "p", "q"]


def at_step_0(inputs: Paths) -> Weights | None:
    """Return the model as it was before training; None where that was not kept."""
    with safe_open(inputs.file("checkpoints.safetensors"), framework="pt") as checkpoints:
        if 0 not in json.loads(checkpoints.metadata()["steps"]):
            return None
        config = json.loads(inputs.file("config.json").read_text(encoding="utf-8"))
        return to_weights(config, lambda name: checkpoints.get_tensor(f"0/{name}").float())


class Comparison:
    """One run's scores beside chance: the model, what its heads stand between, and where draws come from."""

    def __init__(
        self,
        settings: ScoreSettings,
        weights: Weights,
        before: Weights | None,
        sequences: pd.DataFrame,
        first: int,
    ) -> None:
        """Get ready.

        Args:
            settings: how many draws.
            weights: the transformer.
            before: the same before training; None if that is not known.
            sequences: the SEQUENCES table.
            first: the first position that is not [BEGIN]: 0 or 1.
        """
        self.settings, self.weights, self.before = settings, weights, before
        self.sequences, self.first = sequences, first
        self.draws = Draws(settings.draws, settings.pair_draws, settings.ranked_draws, settings.tile)
        self.ranked = spread(weights.d_vocab, settings.ranked_tokens)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.folded = gains_folded(weights)
        self.between = nulls.sides(self.folded)

    def heads(self, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Compare rows of HEAD_SCORES with every kind of chance they have.

        Returns:
            The rows with the columns of the kind to compare with, and the rows of NULLS.
        """
        text = sequences_of(self.sequences, "text")[:, self.first :]
        random = nulls.random_heads(self.folded, self.between, self.ranked, text, self.draws, self.generator)
        scores, frames = scores.astype({"period": "Int64"}), []
        of_weights = scores["eval_set"] == "weights"
        for layer, rows in tqdm(scores[of_weights].groupby("layer"), desc="chance of circuits"):
            found = self._of_layer(layer, _scores(rows, NAMES, ["head"]), random)
            frames.append(_rows("head", found, NAMES, layer=layer, eval_set="weights", period=None))
        sets = scores[~of_weights].groupby(SETS, dropna=False)
        for (eval_set, period), rows in tqdm(sets, desc="chance of patterns"):
            which = {"eval_set": eval_set, "period": None if pd.isna(period) else int(period)}
            found = self._of_set(which, _scores(rows, NAMES, ["layer", "head"]), random)
            frames.append(_rows("layer head", found, NAMES, **which))
        found = pd.concat(frames).astype({"period": "Int64"})
        return _joined(scores, found, ["layer", "head"], [*NAMES, *SETS])

    def pairs(self, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Compare rows of HEAD_PAIRS with every kind of chance they have.

        Returns:
            The rows with the columns of the kind to compare with, and the rows of PAIR_NULLS.
        """
        if scores.empty:
            return scores, pd.DataFrame(columns=PAIR_NULLS.names)
        frames = []
        for (source, reader), rows in tqdm(scores.groupby(LAYERS), desc="chance of pairs"):
            found = self._of_layers(source, reader, _scores(rows, NAMES, ["src_head", "dst_head"]))
            frames.append(_rows("src_head dst_head", found, NAMES, src_layer=source, dst_layer=reader))
        sets = scores[[*NAMES, "eval_set"]].drop_duplicates()
        chances = pd.concat(frames).merge(sets, on=NAMES)
        return _joined(scores, chances, [*LAYERS, "src_head", "dst_head"], [*NAMES, "eval_set"])

    def _of_layer(self, layer: int, scores: Scores, random: dict[tuple[str, str], Tensor]) -> Chances:
        found = nulls.of_circuits(self.folded, layer, scores, self.between, self.draws, self.generator)
        found = merged(found, nulls.of_random_heads(scores, random))
        if self.before is None:
            return found
        before = circuit_scores(self.before, layer, self.ranked, self.settings.tile)
        return merged(found, nulls.of_step_0(scores, before))

    def _of_set(self, which: dict, scores: Scores, random: dict[tuple[str, str], Tensor]) -> Chances:
        tokens, period, batch = sequences_of(self.sequences, **which), which["period"], self.settings.batch
        found = nulls.of_random_heads(scores, random)
        if ("induction", "prefix_trace") in scores:
            previous = scores["previous_token", "mean"].value
            found |= nulls.of_prefixes(self.folded, previous, scores, self.between, self.draws, self.generator)
        if period is not None:
            found |= nulls.of_patterns(
                self.weights, tokens, self.first, scores, batch, self.draws.heads, self.generator
            )
        if self.before is None:
            return found
        few = tokens[: self.settings.null_sentences]
        return merged(found, nulls.of_step_0(scores, sequence_scores(self.before, few, self.first, period, batch)[0]))

    def _of_layers(self, source: int, reader: int, scores: Scores) -> Chances:
        found = pair_nulls.of_composition(self.folded, source, reader, scores, self.draws.heads, self.generator)
        if ("K_circuit", "eigenvalue") in scores:
            found |= pair_nulls.of_circuits(
                self.folded, source, reader, scores, self.between, self.ranked, self.draws, self.generator
            )
        if self.before is None:
            return found
        before = pair_scores.composition_scores(self.before, source, reader)
        if ("virtual", "norm_share") in scores:
            trace = forward(self.before, sequences_of(self.sequences, "text")[: self.settings.null_sentences])
            heads = range(self.before.n_heads)
            paths = [pair_scores.path_scores(self.before, trace, (source, head), reader) for head in heads]
            before |= {name: Score(torch.stack([path[name].value for path in paths])) for name in paths[0]}
        return merged(found, pair_nulls.of_step_0(scores, before))


def _scores(rows: pd.DataFrame, names: list[str], axes: list[str]) -> Scores:
    """Return a table's values as tensors with these axes, by name."""
    result = {}
    for name, group in rows.groupby(names):
        shape = tuple(group[axis].nunique() for axis in axes)
        values = torch.tensor(group.sort_values(axes)["value"].to_numpy("float64", na_value=torch.nan))
        result[name] = Score(values.unflatten(0, shape))
    return result


def _rows(axes: str, found: Chances, names: list[str], **constants: object) -> pd.DataFrame:
    """Return a row an element of each kind of chance of each score; `chosen` marks the kind to compare with."""
    frames = [pd.DataFrame()]
    for name, kinds in found.items():
        for place, (kind, chance) in enumerate(kinds.items()):
            frame = to_frame(axes, null_mean=chance.mean, null_sd=chance.sd, z=chance.z, p=chance.p)
            named = dict(zip(names, name, strict=True))
            frames.append(frame.assign(**named, null_kind=kind, draws=chance.draws, chosen=place == 0))
    return pd.concat(frames).assign(**constants)


def _joined(
    scores: pd.DataFrame, found: pd.DataFrame, heads: list[str], names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each row of chance its q over all heads that share its names, and each score its first kind's columns."""
    found["draws"] = found["draws"].astype("Int64")
    found["q"] = found.groupby([*names, "null_kind"], dropna=False)["p"].transform(
        lambda p: benjamini_hochberg(torch.tensor(p.to_numpy())).numpy()
    )
    columns = found.loc[found["chosen"], [*heads, *names, *COMPARED]]
    scores = scores.drop(columns=COMPARED, errors="ignore").merge(columns, "left", on=[*heads, *names])
    span = scores["ideal"] - scores["null_mean"]
    scores["normalised"] = (scores["value"] - scores["null_mean"]) / span.where(span != 0)
    return scores, found.drop(columns="chosen")
