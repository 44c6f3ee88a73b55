"""Every published way to score a head or a pair of heads: its names, what it means, where it is from.

`gauge_invariant` says whether a score stays as it is when a random invertible map is put between W_Q and W_K of a
head, and another between its W_V and W_O: such maps leave what the model computes as it is.

Left out are scores that need lists of words, each one token to the model: the name-copying score of Wang et al. 2022
and the relation scores of Elhelo and Geva 2024 (MAPS). A vocabulary of a thousand pieces of words holds too few.
"""

from dataclasses import dataclass

FRAMEWORK = "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits"
OLSSON = "Olsson et al. 2022, In-context Learning and Induction Heads"
BIETTI = "Bietti et al. 2023, Birth of a Transformer"
DETECTOR = "TransformerLens, head_detector.py"
DEMO = "TransformerLens, main demonstration"
ARENA = "ARENA, chapter 1.2"
OURS = "this project"


@dataclass(frozen=True)
class Definition:
    """One score by one definition."""

    metric: str
    definition: str
    meaning: str
    source: str
    gauge_invariant: bool = True

    @property
    def names(self) -> dict[str, str]:
        """The columns that name it in tables."""
        return {"metric": self.metric, "definition": self.definition}


SHARE = "share of all attention that lies on the role's keys"
DISTANCE = "1 - mean over queries of sum |attention - mask|, the mask 1 on the role's keys"
RATIO = "Re(sum z) / sum |z| over the circuit's eigenvalues z"
DIAGONAL = "mean diagonal entry of the circuit minus mean entry, in standard deviations of entries"

HEAD_DEFINITIONS = (
    Definition("previous_token", "mean", "attention averaged over queries", f"{OLSSON}; {ARENA}"),
    Definition("previous_token", "detector_mul", SHARE, DETECTOR),
    Definition("previous_token", "detector_abs", DISTANCE, DETECTOR),
    Definition(
        "previous_token", "positional", "attention averaged over queries, by the position-position scores alone", ARENA
    ),
    Definition(
        "previous_token",
        "recall",
        "share of positions whose position-position score is largest at the one before, future ones included",
        BIETTI,
    ),
    Definition("previous_token", "recall_64", "recall among the first 64 positions", BIETTI),
    Definition("current_token", "mean", "attention averaged over queries", ARENA),
    Definition("first_token", "mean", "attention averaged over queries", ARENA),
    Definition("duplicate_token", "mass", "attention to all targets, averaged over queries that have any", OURS),
    Definition("duplicate_token", "detector_mul", SHARE, DETECTOR),
    Definition("duplicate_token", "detector_abs", DISTANCE, DETECTOR),
    Definition("induction", "mass", "attention to all targets, averaged over queries that have any", OURS),
    Definition("induction", "entry_mean", "attention averaged over pairs of a query and a target", OLSSON),
    Definition("induction", "most_recent", "attention to the latest target alone", OURS),
    Definition("induction", "stripe", "mean of the diagonal one short of the period", f"{DEMO}; {ARENA}"),
    Definition("induction", "detector_mul", SHARE, DETECTOR),
    Definition("induction", "detector_abs", DISTANCE, DETECTOR),
    Definition(
        "induction",
        "prefix_trace",
        "trace of the token-to-token circuit that matches a query with what earlier heads copied to a key, each "
        "weighted by its attention to the token before",
        OLSSON,
    ),
    Definition("induction", "prefix_ratio", f"{RATIO}, of the circuit of prefix_trace", OURS),
    Definition("copying", "eigenvalue", RATIO, FRAMEWORK),
    Definition("copying", "eigenvalue_stream", f"{RATIO} W_V W_O, without embedding and unembedding", DEMO),
    Definition("copying", "diagonal_z", DIAGONAL, OURS),
    Definition(
        "copying", "top1", "share of tokens that are largest in their own row of the circuit", f"{ARENA}; {BIETTI}"
    ),
    Definition("copying", "top5", "share of tokens among their own five largest", ARENA),
    Definition("copying", "top1_unigram", "top1, each token counted as often as it occurs in the text", OURS),
    Definition(
        "copying", "olsson", "4 a / (a + s) - 1: a the rise of attended tokens' logits, s of all the sample's", OLSSON
    ),
    Definition("same_token_preference", "diagonal_z", DIAGONAL, OURS),
    Definition("same_token_preference", "eigenvalue", RATIO, FRAMEWORK),
)

NORMS = "Frobenius norm of the product of both heads' matrices over the product of norms"

PAIR_DEFINITIONS = (
    *(Definition(f"{kind}_composition", "frobenius", NORMS, f"{FRAMEWORK}; TransformerLens") for kind in "QKV"),
    *(
        Definition(f"{kind}_composition", "above_chance", f"{NORMS}, minus that of random weights", FRAMEWORK)
        for kind in "QKV"
    ),
    Definition("K_circuit", "eigenvalue", RATIO, FRAMEWORK),
    Definition("K_circuit", "top1_keys", "share of query tokens that match their own copy best, of all copies", BIETTI),
    Definition("K_circuit", "top1_queries", "share of copies that their own token matches best, of all queries", ARENA),
    Definition("virtual", "eigenvalue", RATIO, FRAMEWORK),
    Definition("virtual", "top1", "share of tokens that are largest in their own row of the circuit", OURS),
    Definition("virtual", "norm_share", "size of the pair's output over the whole second layer's", OURS),
    Definition("virtual", "loss_removed", "nats per token lost without the pair's path to the logits", OURS),
)


DEFINITIONS = {(one.metric, one.definition): one for one in (*HEAD_DEFINITIONS, *PAIR_DEFINITIONS)}


def listed(definitions: tuple[Definition, ...]) -> str:
    """Return each definition with its meaning, those that several metrics share once."""
    meanings = {}
    for one in definitions:
        meanings.setdefault((one.definition, one.meaning), []).append(one.metric)
    return "; ".join(
        f"{definition} ({', '.join(metrics)}): {meaning}" for (definition, meaning), metrics in meanings.items()
    )


def names(definitions: tuple[Definition, ...], which: str) -> tuple[str, ...]:
    """Return the different values of `metric` or `definition`, in order."""
    return tuple(dict.fromkeys(getattr(one, which) for one in definitions))
