"""What a definition of a score is: one entry that says everything there is to know of it.

To add a score: one entry in heads.py, pairs.py or of_models.py, one function that it names, one test. Measuring it,
comparing it with chance, its rows in tables, its place in figures, its known answers and the documentation follow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import Expected
from pipeline.circuits.definitions.views import Pass, Paths, Predictions, Tokens, Turned
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.head_patterns import Template
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import PairCircuit

Name = tuple[str, str]  # metric, definition
Predicted = tuple[Tensor, Bool[Tensor, "batch position"], float]  # values, those that count, chance
Level = float | Callable[[Weights], float]
EmbMode = Literal["embedding", "after_mlp0"]  # what stands for a token; see `factors.effective_embedding`
Window = tuple[float, float]  # from and to, as shares of a sequence
NullKind = Literal["rotation", "gaussian", "permuted_tokens", "renamed_tokens", "step_0"]


@dataclass(frozen=True)
class OfPattern:
    """Of attention patterns on sequences: how much each entry counts. Chance and ideal are counted on the same ones."""

    template: Callable[[Tokens], Template | None]  # None where the sequences are not of the kind it asks for
    turned: Callable[[Turned], Float64[Tensor, "draw layer head"]] | None = (
        None  # the same where tokens have changed places
    )
    # Whether [BEGIN] is a key; if not, of `head_patterns.without_first`, where sequences start with it.
    begin: bool = True


@dataclass(frozen=True)
class OfOutputs:
    """Of what heads write on random tokens, before the first repeat."""

    function: Callable[  # pattern, output, directions; see `olsson_scores`
        [
            Float[Tensor, "batch head query key"],
            Float[Tensor, "batch head query d_model"],
            Float64[Tensor, "batch key d_model"],
        ],
        Float64[Tensor, "batch head"],
    ]
    chance: Callable[[int], float]  # of the tokens in the sample


@dataclass(frozen=True)
class OfPass:
    """Of what a layer's heads do on sequences, each sentence alone."""

    function: Callable[[Pass], Float64[Tensor, "batch head"]]  # NaN where a sentence has no score
    # What the score times the number of sentences is the trace of, where chance turns a head's own matrix.
    turned: Callable[[Pass], Float64[Tensor, "head d_head d_head"]] | None = None


@dataclass(frozen=True)
class OfCircuit:
    """Of a head's own circuit, by its small products; `stream` is W_V W_O, between nothing."""

    circuit: Literal["OV", "QK", "stream"]
    function: Callable[[Grams], Float64[Tensor, "..."]]  # changes its sign with the circuit's
    relabelled_sd: Callable[[Grams], Float64[Tensor, "..."]] | None = None  # where the tokens of one side change places
    emb_mode: EmbMode = "embedding"


@dataclass(frozen=True)
class OfRanks:
    """Share of tokens that are among the `most` largest of their own row of the OV circuit, or among the smallest."""

    most: int
    smallest: bool = False
    weighed_by_text: bool = False  # each token as often as the text holds it; else all of the vocabulary alike
    emb_mode: EmbMode = "embedding"


@dataclass(frozen=True)
class OfRelation:
    """Share of pairs of words whose second is among the `most` largest of the first one's row of the OV circuit."""

    relation: str
    most: int
    emb_mode: EmbMode = "embedding"


@dataclass(frozen=True)
class OfPositions:
    """Of a head's position-position circuit, where the model has learned positions."""

    # Of the queries' and the keys' factor.
    function: Callable[[Float[Tensor, "position d_head"], Float[Tensor, "position d_head"]], Float64[Tensor, ""]]
    positions: int | None = None  # the first ones alone; None for all
    despite_norms: bool = True  # whether it is defined where a norm divides by what depends on the rest of the stream


@dataclass(frozen=True)
class OfPrefixes:
    """Of `induction.prefix_circuit`, from a query's token to what earlier heads carried: trace or eigenvalues."""

    function: Callable[[Grams], Float64[Tensor, "..."]]


@dataclass(frozen=True)
class OfComposition:
    """Of how much one input of a head reads of what an earlier head writes."""

    through: Literal["Q", "K", "V"]
    by: Literal["frobenius", "above_chance", "projection_kernel", "largest_direction"]


@dataclass(frozen=True)
class OfPairCircuit:
    """Of a circuit through two heads, by its small products."""

    circuit: PairCircuit
    function: Callable[[Grams], Float64[Tensor, "..."]]


@dataclass(frozen=True)
class OfPairRanks:
    """Share of tokens that are the largest of their own row of a circuit through two heads."""

    circuit: PairCircuit
    transposed: bool = False


@dataclass(frozen=True)
class OfPath:
    """Of what flows through two heads in a row on sequences; only where logits add up."""

    # By sentence and head, or by head where no sentence has a value alone.
    function: Callable[[Paths], Float[Tensor, "sentence head"] | Float[Tensor, " head"]]
    despite_norms: bool = True  # whether large models, which have norms, can afford it


@dataclass(frozen=True)
class OfPredictions:
    """Of what the model predicts on sequences made to mislead: values, which of them count, and chance."""

    function: Callable[[Predictions], Predicted | None]  # None as of OfPattern


@dataclass(frozen=True)
class OfLosses:
    """Of the losses of sequences, the classes of their tokens, and what counts as early and as late in them."""

    function: Callable[
        [Float[Tensor, "sentence position"], Int[Tensor, "sentence position"], tuple[Window, Window]], Float[Tensor, ""]
    ]


Measure = (
    OfPattern
    | OfOutputs
    | OfPass
    | OfCircuit
    | OfRanks
    | OfRelation
    | OfPositions
    | OfPrefixes
    | OfComposition
    | OfPairCircuit
    | OfPairRanks
    | OfPath
    | OfPredictions
    | OfLosses
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Definition:
    """One score by one definition."""

    metric: str
    definition: str
    meaning: str
    source: str
    unit: str
    measure: Measure
    chance: Level = math.nan  # under even attention, or for independent random weights; NaN if counted or unknown
    ideal: Level = math.nan  # of a head that plays the role perfectly; NaN if counted or if there is none
    threshold: float = math.nan  # above which its source says that a head plays the role; NaN if it says none
    nulls: tuple[NullKind, ...] = ()  # kinds of chance, the one to compare with first
    closed_form: Callable[[Case], Expected] | None = None  # of a head, or pair, wired by hand
    random_mean: bool = False  # whether independent random weights have `chance` for a mean, exactly
    gauge_invariant: bool = True  # under invertible maps between W_Q and W_K, and between W_V and W_O, of a head
    periodic: bool = False  # whether it is of random tokens that repeat with a fixed period alone
    on_challenges: bool = False  # whether sequences made to mislead are scored by it

    @property
    def name(self) -> Name:
        """What it goes by."""
        return self.metric, self.definition

    def levels(self, weights: Weights) -> tuple[float, float]:
        """Return `chance` and `ideal` in a model."""
        return level(self.chance, weights), level(self.ideal, weights)

    @property
    def needs_begin(self) -> bool:
        """Whether only sequences that start with [BEGIN] are scored by it, since it leaves it out."""
        return isinstance(self.measure, OfPattern) and not self.measure.begin

    @property
    def eval_set(self) -> str | None:
        """The set of sequences it is measured on; `weights` for none, None for whatever sequences there are."""
        match self.measure:
            case OfCircuit() | OfRelation() | OfPositions() | OfComposition() | OfPairCircuit() | OfPairRanks():
                return "weights"
            case OfRanks(weighed_by_text=weighed):
                return "text" if weighed else "weights"
            case OfPrefixes() | OfPath():
                return "text"
        return None


def level(number: Level, weights: Weights) -> float:
    """Return what a level is in a model."""
    return number(weights) if callable(number) else number
