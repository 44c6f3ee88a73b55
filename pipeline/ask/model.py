"""A model that was read and verified, its heads, and what the stages would say of them: frames and tensors."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from pipeline import decompose, project
from pipeline.ask.study import StudyRun
from pipeline.circuits.causes.patching import patched_edges, patched_heads, patched_stream
from pipeline.circuits.causes.paths import path_names, path_outputs
from pipeline.circuits.definitions import measure_pairs
from pipeline.circuits.definitions.chance_of_heads import of_rotation
from pipeline.circuits.definitions.definition import Definition
from pipeline.circuits.definitions.measure_heads import (
    circuit_scores,
    halves_of,
    of_circuits,
    pattern_scores,
    products_between,
)
from pipeline.circuits.definitions.registry import HEADS
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.held import Held, Part
from pipeline.circuits.scores.score import Scores
from pipeline.circuits.terms.walk import Layer, walk
from pipeline.circuits.transformer.forward import Trace, attention_at, forward
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary import full_circuits as circuits
from pipeline.circuits.vocabulary.lens import Lens
from pipeline.circuits.vocabulary.normalisers import notebook_normalisers
from pipeline.circuits.vocabulary.spectra import Spectrum, ordered_eigenvalues, spectrum
from pipeline.circuits.vocabulary.tall import Rows, Tall, products
from pipeline.frames.scores import beside_chance, null_rows, score_rows
from pipeline.frames.tensors import to_frame
from pipeline.models.sequences import periodic_rows
from pipeline.models.tokenizer import encode, role_ids, spells_text, vocabulary
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.graph import settings_of
from pipeline.settings.ask import AskSettings

CIRCUITS = project.CIRCUITS
SETS = ["eval_set", "period"]
LENS = ("ln_mode", "positions", "normaliser", "filters", "stem_length", "edit_length")  # settings that make another
FOLDED: dict[str, Any] = {
    "ln_mode": "folded",
    "emb_modes": ["embedding"],
    "positions": False,
    "normaliser": "none",
    "filters": [],
}


@dataclass(frozen=True)
class Verified:
    """What was held against the model's own forward pass before anything was said of it."""

    checks: int
    tokens: int
    nearest: str  # the check nearest to its tolerance
    error: float
    tolerance: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"verified against its own forward pass on {self.tokens} tokens: {self.checks} checks; nearest to its "
            f"tolerance: {self.nearest}, {self.error:.1g} of {self.tolerance:.1g}"
        )


def part_name(part: Part) -> str:
    """Return what screens call a part: 9.6, mlp.9, token, position or bias."""
    if part.kind == "head":
        return f"{part.layer}.{part.head}"
    return f"mlp.{part.layer}" if part.kind == "feed_forward" else part.kind


@dataclass(frozen=True)
class Model:
    """A model under the field's names, with its tokenizer; made by `headscope.load`, which verifies it."""

    name: str
    weights: Weights
    tokenizer: Tokenizer
    settings: dict[str, dict[str, Any]]  # by stage: the study's, or conf/'s own
    verified: Verified
    run: StudyRun | None  # of a study; None for any other model
    model_type: str  # as its config.json says

    @cached_property
    def vocabulary(self) -> pd.DataFrame:
        """Every token, as the table VOCABULARY."""
        return pd.DataFrame(map(vars, vocabulary(self.tokenizer, self.weights.d_vocab)))

    @cached_property
    def occurrences(self) -> Tensor | None:
        """How often each token stands in the study's text; None without a study."""
        if self.run is None:
            return None
        return project.occurrences_in(Paths([self.run.folder("prepare") / "tokens.parquet"]), self.vocabulary)

    @cached_property
    def shown(self) -> np.ndarray:
        """Every token as tables show it, by id."""
        return self.vocabulary["token"].to_numpy(dtype=object)

    @cached_property
    def begin(self) -> int | None:
        """The token that begins a text; None where there is none."""
        return role_ids(self.tokenizer)[0]

    def tokens(self, sentence: str | None = None) -> Tensor:
        """Return a sentence's token ids, [1, position], behind the token that begins a text.

        Args:
            sentence: if not given, the demonstration sentence of conf/, as far as it fits; where tokens are ids,
                a block of them that repeats.

        Raises:
            ValueError: it holds what the tokenizer does not know, or nothing.
        """
        probe, spells = self.stage("probe"), spells_text(self.tokenizer)
        period = min(probe.periods[0], self.weights.d_vocab - 2)
        block = " ".join(str(2 + n % period) for n in range(self.n_ctx))
        text = sentence if sentence is not None else probe.demo if spells else block
        if not spells and not set(text.split()) <= set(self.tokenizer.get_vocab()):
            raise ValueError(f"{text!r}: the model's tokens are ids; write numbers below {self.weights.d_vocab}")
        ids = encode(self.tokenizer, [text])[0]
        if not ids:
            raise ValueError("the sentence has no tokens; write some text")
        ids = [*([] if self.begin is None else [self.begin]), *ids]
        return torch.tensor([ids if sentence is not None else ids[: self.n_ctx]])

    @property
    def n_ctx(self) -> int:
        """Positions of the sequences it is measured on: those of conf/, as far as it has them."""
        sizes = self.stage("probe").n_ctx, self.weights.window, self.weights.W_pos
        return min(len(size) if isinstance(size, Tensor) else size for size in sizes if size is not None)

    def token(self, text: str) -> int:
        """Return the id of a text that is one token.

        Raises:
            ValueError: it is none, or several.
        """
        ids = self.tokens(text)[0, int(self.begin is not None) :].tolist()
        if len(ids) != 1:
            pieces = ", ".join(repr(str(self.shown[token])) for token in ids)
            raise ValueError(f"{text!r} is {len(ids)} tokens ({pieces}); give one, mostly with a space before it")
        return ids[0]

    def stage(self, name: str, **changes: Any) -> Any:
        """Return a stage's settings, some of them changed, as the stage itself takes them."""
        return settings_of(name).parse(self.settings[name] | changes)

    @property
    def asked(self) -> AskSettings:
        """On how much a question is answered, as conf/ says."""
        return AskSettings.parse(self.settings["ask"])

    @cached_property
    def folded(self) -> Weights:
        """The weights with the norms' gains folded in, to read circuits."""
        return self.read(**FOLDED)[0].weights

    def read(self, **changes: Any) -> tuple[Lens, dict[str, Rows]]:
        """Return the model as the stage `project` reads it, and what answers to its matrices; kept for the next call.

        Args:
            changes: of the stage's settings.
        """
        settings = self.stage("project", **changes)
        key = settings.emb_modes[0], *(getattr(settings, name) for name in LENS)
        if key not in self._read:
            lens = self._lens(**changes)
            self._read[key] = lens, circuits.readers(lens.weights)
        return self._read[key]

    @cached_property
    def _read(self) -> dict[tuple, tuple[Lens, dict[str, Rows]]]:
        return {}

    def _lens(self, **changes: Any) -> Lens:
        settings = self.stage("project", **changes)
        lens = project.lens_with(settings, self.weights, self.vocabulary, self.occurrences, settings.emb_modes[0])
        if settings.normaliser == "notebook":
            layers = tqdm(range(self.weights.n_layers), desc="normalisers, layers", disable=None)
            means = notebook_normalisers((lens.weights.one_layer(layer) for layer in layers), project.PORTION)
            lens = replace(lens, means=means)
        return lens

    def head(self, name: str) -> "OneHead":
        """Return one head by its name, `layer.head`.

        Raises:
            ValueError: there is no such head.
        """
        return OneHead(self, self._place(name, self.weights.n_heads, "head"))

    def _place(self, name: str, most: int, what: str) -> tuple[int, int]:
        if not re.fullmatch(r"\d+\.\d+", name):
            raise ValueError(f"{name}: write a {what} as layer.{what}, such as 1.0")
        layer, unit = map(int, name.split("."))
        if layer >= self.weights.n_layers or unit >= most:
            raise ValueError(
                f"{name}: no such {what}; {self.name} has layers 0 to {self.weights.n_layers - 1} with {what}s 0 to "
                f"{most - 1}"
            )
        return layer, unit

    def neuron(self, name: str, k: int = 20, **changes: Any) -> pd.DataFrame:
        """Return the tokens that excite a neuron most (FF_key), and those that it promotes (FF_value).

        Args:
            name: `layer.neuron`.
            k: tokens at each end.
            changes: of the settings of `project`, such as normaliser="notebook".

        Raises:
            ValueError: there is no such neuron.
        """
        if self.weights.ff_keys is None:
            raise ValueError(f"{self.name}: has no feed-forward parts, so no neurons")
        layer, unit = self._place(name, self.weights.ff_keys.shape[1], "neuron")
        settings = self.stage("project", unit_tokens=k, neurons=(f"{layer}.{unit}",), **changes)
        lens = self.read(**changes)[0]
        rows = pd.concat(project.neuron_rows(settings, lens, lens.weights.one_layer(layer), layer))
        return self._units(rows).assign(layer=layer)

    def vector(self, vector: Tensor, k: int = 20) -> pd.DataFrame:
        """Return the tokens that a vector of the stream points at: as read (W_E), and as written (W_U).

        Raises:
            ValueError: it is not as wide as the stream.
        """
        if vector.shape != (self.weights.d_model,):
            raise ValueError(
                f"the vector has shape {list(vector.shape)}; the stream has {self.weights.d_model} numbers"
            )
        lens, settings = self.read()[0], self.stage("project", unit_tokens=k)
        sides = {"W_E": lens.weights.W_E[: lens.n_tokens].T, "W_U": lens.weights.W_U}
        rows = [project.unit_rows(settings, lens, name, vector.float()[None] @ side) for name, side in sides.items()]
        return self._units(pd.concat(rows))

    def _units(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(token=self.shown[rows["token_id"].astype(int)]).reset_index(drop=True)

    def trace(self, sentence: str | None = None) -> Trace:
        """Run the model on a sentence; every intermediate value, [1, ...]."""
        return forward(self.weights, self.tokens(sentence))

    def held(self, sentence: str | None = None) -> Held:
        """Run the model on a sentence, to read its logits as a sum over parts.

        Raises:
            ValueError: they are none.
        """
        return Held.of(self.weights, self.trace(sentence))

    def virtual(self, source: str, reader: str, sentence: str | None = None, k: int = 10) -> pd.DataFrame:
        """Return the tokens that two heads in a row promote most at every position, as the table VIRTUAL_HEADS.

        Raises:
            ValueError: the second head is not in a later layer, or the logits are no sum.
        """
        first, second = self.head(source).head, self.head(reader).head
        if first[0] >= second[0]:
            raise ValueError(f"{source} and {reader}: the second head must be in a later layer")
        (promoted,) = measure_pairs.promoted_tokens(self.held(sentence), [first], second[0], k)
        frames = [
            to_frame("dst_head sentence position rank", logit=logits.double(), token_id=ids).assign(kind=kind)
            for kind, (logits, ids) in promoted.items()
        ]
        frame = pd.concat(frames)
        frame = frame[frame["dst_head"] == second[1]].assign(src_head=source, dst_head=reader)
        return frame.assign(token=self.shown[frame["token_id"]]).reset_index(drop=True)

    def logits(self, prompt: str, answer: str | None = None, against: str | None = None) -> pd.DataFrame:
        """Return who wrote the last position's logit of `answer` less that of `against`; rows sum to the difference.

        Args:
            prompt: the text.
            answer: one token; the likeliest, if not given.
            against: one token; the mean over the vocabulary, if not given.
        """
        held = self.held(prompt)
        token = int(held.trace.logits[0, -1].argmax()) if answer is None else self.token(answer)
        other = None if against is None else self.token(against)
        parts = held.logit_parts(token, other)
        rows = [(part_name(part), float(logit[0, -1])) for part, logit in parts.items()]
        frame = pd.DataFrame(rows, columns=["part", "logit"])
        if self.weights.n_layers <= 2:
            frame = pd.concat([frame.assign(kind="part"), self._paths(held, token, other).assign(kind="path")])
        else:
            frame["kind"] = "part"
        answered = self.shown[token], "the mean of all" if other is None else self.shown[other]
        return frame.assign(answer=answered[0], against=answered[1]).reset_index(drop=True)

    def _paths(self, held: Held, token: int, other: int | None) -> pd.DataFrame:
        direction, offset = held.between(token, other)
        logits = (held.unscaled(path_outputs(held))[0, :, -1] @ direction).double()
        if offset is not None:
            logits[0] += offset  # on the direct path, as all constants
        names = [" ".join(path) for path in path_names(self.weights)]
        return pd.DataFrame({"part": names, "logit": logits.numpy()})

    def likeliest(self, prompt: str, k: int = 5) -> pd.DataFrame:
        """Return the tokens that the model expects next: logit and probability."""
        logits = self.trace(prompt).logits[0, -1].double()
        values, ids = logits.topk(k)
        probability = logits.softmax(-1)[ids]
        frame = to_frame("rank", token_id=ids, logit=values, probability=probability)
        return frame.assign(token=self.shown[frame["token_id"]])

    def patch(self, clean: str, corrupt: str, answer: str, against: str, edges_of: int | None = None) -> pd.DataFrame:
        """Put one part of the clean run into the corrupt one, and return how much of the answer comes back.

        Args:
            clean: a prompt that the model answers.
            corrupt: another, of as many tokens.
            answer: one token.
            against: one token.
            edges_of: heads whose edges to later heads are patched too: those that recover most alone; None for conf/'s.

        Returns:
            A row a part: `kind` (head, stream, edge), where it is, the logit difference, and the share `recovered`: 0
            as on the corrupt prompt, 1 as on the clean one.

        Raises:
            ValueError: the prompts are not equally long, or give the same difference.
        """
        runs = self.trace(clean), self.trace(corrupt)
        if runs[0].tokens.shape != runs[1].tokens.shape:
            lengths = " and ".join(str(trace.tokens.shape[1]) for trace in runs)
            raise ValueError(f"the prompts have {lengths} tokens; write them equally long")
        good, bad = self.token(answer), self.token(against)
        whole, none = (float(trace.logits[0, -1, good] - trace.logits[0, -1, bad]) for trace in runs)
        if whole == none:
            raise ValueError(f"both prompts give {answer!r} the same logit above {against!r}; nothing can be recovered")
        frames = []

        def note(logits: Tensor, axis: str, **where: Any) -> None:
            difference = (logits[:, good] - logits[:, bad]).double()
            frames.append(to_frame(axis, difference=difference).assign(**where))

        n_layers, places = self.weights.n_layers, range(self.weights.n_layers)
        for layer in tqdm(places, desc="heads, layers", disable=None):
            note(patched_heads(self.weights, *runs, layer), "head", kind="head", layer=layer)
        for layer in tqdm(range(n_layers + 1), desc="stream, layers", disable=None):
            note(patched_stream(self.weights, *runs, layer), "position", kind="stream", layer=layer)
        alone = pd.concat([frame for frame in frames if frame["kind"].iloc[0] == "head"])
        most = self.asked.patched_heads if edges_of is None else edges_of
        strongest = alone.iloc[(alone["difference"] - none).abs().argsort()[::-1][:most]]
        sources = [(int(row["layer"]), int(row["head"])) for row in strongest.to_dict("records")]
        pairs = [(source, layer) for source in sources for layer in range(source[0] + 1, n_layers)]
        for source, layer in tqdm(pairs, desc="edges, layers", disable=None):
            for through, logits in patched_edges(self.weights, *runs, source, layer).items():
                source_name = f"{source[0]}.{source[1]}"
                note(logits, "head", kind="edge", layer=layer, source=source_name, through=through)
        frame = pd.concat(frames, ignore_index=True)
        columns = ["kind", "source", "through", "layer", "head", "position", "difference"]
        frame = frame.reindex(columns=columns).astype({"head": "Int64", "position": "Int64"})
        tokens = runs[1].tokens[0]
        frame["token"] = [None if pd.isna(place) else self.shown[tokens[place]] for place in frame["position"]]
        return frame.assign(clean=whole, corrupt=none, recovered=(frame["difference"] - none) / (whole - none))

    @property
    def ranked(self) -> Tensor:
        """The tokens whose rows of a circuit are ranked where no study has."""
        return spread(self.weights.d_vocab, min(self.asked.ranked_tokens, self.stage("score").ranked_tokens))

    def scores(self) -> pd.DataFrame:
        """Return every head's scores, as HEAD_SCORES: a study's, or measured here, then without chance."""
        known = pd.DataFrame() if self.run is None else self.run.rows("head_scores")
        if not known.empty:
            return known
        tile, between, layers = self.stage("score").tile, products_between(self.folded), range(self.weights.n_layers)
        frames = [
            self.layer_rows(layer, circuit_scores(self.folded, layer, self.ranked, tile, between))
            for layer in tqdm(layers, desc="scores, layers", disable=None)
        ]
        return pd.concat(frames, ignore_index=True).drop(columns=["lo", "hi", "confidence"])

    def layer_rows(
        self,
        layer: int,
        of_weights: Scores,
        heads: slice = slice(None),
        definitions: Collection[Definition] = HEADS,
    ) -> pd.DataFrame:
        """Return some heads' scores of weights, and of patterns on repeated random tokens, as HEAD_SCORES."""
        confidence, which = self.stage("score").confidence, {"layer": layer, "period": None}
        frames = [score_rows("head", of_weights, None, confidence, eval_set="weights", **which)]
        sets = self.periodic() if self.weights.attends == "back" else []
        if sets:
            together = torch.cat([each.tokens for each in sets])
            found = attention_at(self.weights, together, layer)["pattern"][:, None, heads]
            for tokens, pattern in zip(sets, found.split([len(each.tokens) for each in sets]), strict=True):
                scores = pattern_scores(pattern, tokens, definitions).items()
                own = {
                    name: replace(score, value=score.value[0], sentences=None, weight=None) for name, score in scores
                }
                which = {"layer": layer, "eval_set": "repeated_tokens", "period": tokens.period}
                frames.append(score_rows("head", own, None, confidence, **which))
        return pd.concat(frames).astype({"period": "Int64"})

    def periodic(self) -> list[Tokens]:
        """Return repeated random tokens, of each period of conf/ that fits."""
        probe, first = self.stage("probe"), int(self.begin is not None)
        candidates = torch.tensor([token for token in range(self.weights.d_vocab) if token != self.begin])
        generator = torch.Generator().manual_seed(probe.seed)
        fitting = [period for period in probe.periods if 2 * period < self.n_ctx and period <= len(candidates)]
        sized = self.asked.sentences, self.n_ctx
        drawn = [periodic_rows(candidates, *sized, each, self.begin, generator)[0] for each in fitting]
        return [Tokens(rows, first, period) for rows, period in zip(drawn, fitting, strict=True)]


@dataclass(frozen=True)
class OneHead:
    """One head of a model."""

    model: Model
    head: Head  # layer, head

    @property
    def name(self) -> str:
        """Its name, `layer.head`."""
        return f"{self.head[0]}.{self.head[1]}"

    def _of_study(self, table: str, **which: Any) -> pd.DataFrame:
        layer, head = self.head
        run = self.model.run
        return pd.DataFrame() if run is None else run.rows(table, layer=layer, head=head, **which)

    def roles(self) -> pd.DataFrame:
        """Return what a study calls it, and on what evidence, as HEAD_ROLES; no row where none knows it."""
        return self._of_study("head_roles")

    def coverage(self) -> pd.DataFrame:
        """Return how much of its effect each role recovers, as ROLE_COVERAGE; no row where no study measured it."""
        return self._of_study("role_coverage")

    def scores(self, definitions: Collection[Definition] = HEADS) -> pd.DataFrame:
        """Return its scores beside chance, as HEAD_SCORES: a study's, or measured here on weights and random tokens.

        Measured here, `rotation` is the only kind of chance drawn, and q, which needs all heads, is not there.

        Args:
            definitions: what is measured where no study has.
        """
        known = self._of_study("head_scores")
        return self.measured(definitions) if known.empty else known

    def measured(self, definitions: Collection[Definition] = HEADS) -> pd.DataFrame:
        """Return `scores` measured here, whatever a study says."""
        settings, folded = self.model.stage("score"), self.model.folded
        layer, head = self.head
        formed = self._formed(**FOLDED)
        sides = {"OV": (formed["W_V"], formed["W_O"]), "QK": (formed["W_Q"], formed["W_K"])}
        own = {name: Grams.of(*(side.rows.values for side in both)) for name, both in sides.items()}
        own["stream"] = Grams.of(*halves_of(folded, "stream", self.head))
        of_weights = of_circuits(folded, {self.head: own}, self.model.ranked, settings.tile, definitions)
        generator = torch.Generator().manual_seed(settings.seed)
        chances = of_rotation(folded, self.head, own, of_weights, settings.draws, generator)
        nulls = null_rows("head", chances, layer=layer, period=None).astype({"period": "Int64"})
        frame = self.model.layer_rows(layer, of_weights, slice(head, head + 1), definitions)
        frame, _ = beside_chance(frame, [nulls], ["layer", "head"], SETS)
        return frame.drop(columns=["q", "lo", "hi", "confidence"]).assign(head=head)

    def shares(self, sentence: str | None = None) -> pd.DataFrame:
        """Return the shares of its scores' terms, as ATTENTION_TERMS: a study's, or on a sentence.

        Args:
            sentence: the text; if not given, a study's, or the demonstration sentence of conf/.
        """
        known = self._of_study("attention_terms") if sentence is None else pd.DataFrame()
        if not known.empty:
            return known
        settings = self.model.stage("decompose")
        layer, tokens = self._walked(sentence)
        sources = layer.queries_keys(slice(self.head[1], self.head[1] + 1))
        sources = {name: (query[:, 0], key[:, 0]) for name, (query, key) in sources.items()}
        once, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
        begins = self.model.begin is not None
        whole = decompose.decompose(sources, tokens, once, none, settings.confidence, begins)
        frames = [decompose.statistic_rows(part).assign(keys=keys) for keys, part in whole.items()]
        return pd.concat(frames, ignore_index=True).drop(columns=["lo", "hi"])

    def _walked(self, sentence: str | None) -> tuple[Layer, Tensor]:
        """Return the head's layer, run on a sentence, and the sentence's tokens."""
        settings = self.model.stage("decompose")
        tokens = self.model.tokens(sentence)
        layers = walk(self.model.weights, tokens, settings.batch, settings.apart)
        return next(layer for number, layer in enumerate(layers) if number == self.head[0]), tokens

    def terms(self, sentence: str | None = None, fine: bool = False) -> pd.DataFrame:
        """Return the scores of its terms and its pattern on a sentence, entry by entry, as TERM_MAPS.

        Args:
            sentence: the text; the demonstration sentence of conf/ if not given.
            fine: every source on its own, and not `stream`, `position` and `bias`.

        Raises:
            ValueError: the model attends both ways or caps its scores, where no term is described.
        """
        if self.model.weights.attends != "back":
            raise ValueError(f"{self.model.name}: attends both ways; terms are described of keys up to the query alone")
        if self.model.weights.score_cap is not None:
            raise ValueError(f"{self.model.name}: caps its scores, so that softmax reads no sum of terms")
        layer, tokens = self._walked(sentence)
        one = slice(self.head[1], self.head[1] + 1)
        grouped = (lambda sources: sources) if fine else decompose.streams
        return pd.concat(decompose.maps(layer, self.model.shown[tokens[0]], one, grouped), ignore_index=True).assign(
            layer=self.head[0], head=self.head[1]
        )

    def pattern(self, sentence: str | None = None) -> Tensor:
        """Return its attention on a sentence, [query, key]: probabilities."""
        return attention_at(self.model.weights, self.model.tokens(sentence), self.head[0])["pattern"][0, self.head[1]]

    def top_pairs(self, circuit: str = "OV", k: int = 20, distance: int = 0, **changes: Any) -> pd.DataFrame:
        """Return the strongest token pairs of a circuit, both ends, exact, as VOCAB_PAIRS.

        Args:
            circuit: OV, logits, or QK, scores.
            k: pairs at each end.
            distance: tokens back from query to key, of QK where the model is rotary.
            changes: of the settings of `project`, such as filters=["only_english"], normaliser="notebook" or
                emb_modes=["after_mlp0"], of which the first counts.
        """
        _refuse_no_circuit(circuit)
        lens, formed = self.model.read(**changes)[0], self._formed(**changes)
        settings = self.model.stage("project", pairs=k, distances=(distance,), **changes)
        rows = pd.concat(project.circuit_rows(settings, lens, formed, (circuit,)), ignore_index=True)
        shown = project.items_shown(lens, self.model.vocabulary)
        named = {f"{side}_token": shown[rows[f"{side}_id"]] for side in ("row", "column")}
        return rows.assign(layer=self.head[0], head=self.head[1], **named)

    def _formed(self, **changes: Any) -> dict[str, Tall]:
        """Return how each vocabulary item answers to each dimension of its matrices, formed once: it is small."""
        lens, rows = self.model.read(**changes)
        if id(lens) not in self._answers:
            answers = circuits.responses(lens.weights, self.head, rows)
            every = {name: tall.exact(torch.arange(len(tall))) for name, tall in answers.items()}
            self._answers[id(lens)] = {name: Tall.of(formed) for name, formed in every.items()}
        return self._answers[id(lens)]

    @cached_property
    def _answers(self) -> dict[int, dict[str, Tall]]:
        return {}

    def spectrum(self, circuit: str = "OV", directions: int = 1) -> Spectrum:
        """Return the eigenvalues, singular values and singular directions of a circuit, over tokens; see `Spectrum`."""
        _refuse_no_circuit(circuit)
        lens, rows = self.model.read(positions=False)
        P, Q = circuits.full_circuits(circuits.responses(lens.weights, self.head, rows))[circuit]
        meeting = Q.rows.gram if P.rows is Q.rows else products(Q.rows.values, P.rows.values)
        return spectrum(P, Q, meeting, directions)

    def eigenvalues(self, circuit: str = "OV") -> Tensor:
        """Return the eigenvalues of a circuit by decreasing size, complex."""
        _refuse_no_circuit(circuit)
        P, Q = circuits.full_circuits(self._formed(positions=False))[circuit]
        return ordered_eigenvalues(Q.matrix.T @ products(Q.rows.values, P.rows.values) @ P.matrix)

    def dimension(self, unit: int, k: int = 20, **changes: Any) -> pd.DataFrame:
        """Return the tokens that excite one dimension of its queries, keys and values, and those its output promotes.

        Raises:
            ValueError: there is no such dimension.
        """
        if not 0 <= unit < self.model.weights.d_head:
            raise ValueError(f"dimension {unit}: {self.name} has dimensions 0 to {self.model.weights.d_head - 1}")
        lens, readers = self.model.read(**changes)
        settings = self.model.stage("project", unit_tokens=k, dimensions=unit + 1, **changes)
        answers = circuits.responses(lens.weights, self.head, readers)
        rows = pd.concat(project.dimension_rows(settings, lens, {self.head[1]: answers})).drop(columns="head")
        return self.model._units(rows[rows["unit"] == unit])

    def direction(self, circuit: str = "OV", unit: int = 0, k: int = 20) -> pd.DataFrame:
        """Return the tokens of one singular direction of a circuit, on both sides.

        Raises:
            ValueError: there is no such direction.
        """
        if not 0 <= unit < self.model.weights.d_head:
            raise ValueError(f"direction {unit}: {self.name} has directions 0 to {self.model.weights.d_head - 1}")
        whole = self.spectrum(circuit, unit + 1)
        settings = self.model.stage("project", unit_tokens=k)
        rows = pd.concat(project.direction_rows(settings, self.model.read()[0], circuit, whole))
        return self.model._units(rows[rows["unit"] == unit])

    def composition(self) -> pd.DataFrame:
        """Return how much it reads of every earlier head, and every later head of it, as HEAD_PAIRS' `frobenius`.

        `chance` is what independent random weights have.
        """
        layer, head = self.head
        own, every = slice(head, head + 1), slice(None)
        frames = [pd.DataFrame(columns=["src_layer", "src_head", "dst_layer", "dst_head", "metric", "value", "chance"])]
        for other in (other for other in range(self.model.weights.n_layers) if other != layer):
            reads = other < layer
            source, reader = sorted((layer, other))
            which = (every, own) if reads else (own, every)
            for through, value in composition(self.model.folded, source, reader, *which).items():
                frame = to_frame("src_head dst_head", value=value).assign(chance=self.model.weights.d_model**-0.5)
                frame["dst_head" if reads else "src_head"] = head
                frames.append(frame.assign(metric=f"{through}_composition", src_layer=source, dst_layer=reader))
        return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _refuse_no_circuit(circuit: str) -> None:
    if circuit not in CIRCUITS:
        raise ValueError(f"{circuit}: is no circuit; ask for {' or '.join(CIRCUITS)}")
