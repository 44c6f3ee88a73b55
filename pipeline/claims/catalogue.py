"""Every claim in words, and the function that measures it.

To add one: write its function in of_terms, of_heads, of_losses or of_training, name it here, and give it a threshold in
conf/judge and settings/judge.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.claims import of_heads, of_losses, of_terms, of_training
from pipeline.claims.finding import Finding, Tables


@dataclass(frozen=True)
class Claim:
    """A claim in words, and how it is measured."""

    name: str
    statement: str
    statistic: str
    measure: Callable[[Tables], Finding | None]


CLAIMS = (
    Claim(
        "position_position_largest",
        "The position-position term has the largest magnitude of the four",
        "layer 0, mean over heads: row-centred variance of the position-position scores over that of all four terms, "
        "minus the same for the largest other term",
        of_terms.position_position_largest,
    ),
    Claim(
        "position_position_matters_most",
        "The position-position term is the most important of the four",
        "layer 0, mean over heads: share of the scores' row-centred variance explained by the position-position term, "
        "minus that of the largest other term",
        of_terms.position_position_matters_most,
    ),
    Claim(
        "position_attends_to_previous",
        "By position alone, a token attends to the one before it",
        "share of layer-0 heads whose mean position-position score, among offsets up to half the sequence, is largest "
        "one token back",
        of_terms.position_attends_to_previous,
    ),
    Claim(
        "token_attends_to_itself",
        "By content alone, a token attends to itself",
        "layer 0, mean over heads: token-token score on the diagonal minus the mean over keys",
        of_terms.token_attends_to_itself,
    ),
    Claim(
        "shift_by_one",
        "There is a head that attends to the previous token",
        "mean attention to the token before on held-out text, best layer-0 head",
        of_heads.shift_by_one,
    ),
    Claim(
        "induction",
        "There is an induction head",
        "prefix-matching mass on repeated random tokens, best head, worst period",
        of_heads.induction,
    ),
    Claim(
        "copying",
        "The induction head copies what it attends to",
        "eigenvalue copying score of the best induction head's OV circuit",
        of_heads.copying,
    ),
    Claim(
        "most_heads_copy",
        "Most heads copy",
        "share of all heads whose OV eigenvalues are more positive than those of random weights (q < 0.05)",
        of_heads.most_heads_copy,
    ),
    Claim(
        "k_composition",
        "The previous-token head feeds the induction head's keys",
        "K-composition of the best previous-token head with the best induction head, over that of random weights",
        of_heads.k_composition,
    ),
    Claim(
        "second_copy_gain",
        "What was seen before is predicted better",
        "nats: loss on first minus loss on second copies of segments of held-out text",
        of_losses.second_copy_gain,
    ),
    Claim(
        "virtual_heads_matter",
        "Virtual heads matter",
        "nats: loss on held-out text added by removing one head pair's path to the logits, best pair",
        of_losses.virtual_heads_matter,
    ),
    Claim(
        "single_heads_before_pairs",
        "Heads alone matter more than pairs of heads in a row",
        "nats on held-out text with a copied segment, patterns held: fall of the loss from the direct path to paths "
        "through one head, minus the fall from there to paths through two",
        of_losses.single_heads_before_pairs,
    ),
    Claim(
        "in_context_learning",
        "Later tokens are predicted better than earlier ones",
        "nats on held-out text: mean loss in the second tenth of positions minus that in the last tenth",
        of_losses.in_context_learning,
    ),
    Claim(
        "induction_is_causal",
        "The induction head is what predicts second copies",
        "nats: loss added by removing the best induction head's output, on second copies minus on novel tokens; by "
        "chance, that of a random vector of the same size",
        of_losses.induction_is_causal,
    ),
    Claim(
        "previous_token_first",
        "The previous-token head forms before the induction head",
        "doublings of the training step from the change point of the one to that of the other",
        of_training.previous_token_first,
    ),
    Claim(
        "phase_change",
        "The loss falls when the induction head forms",
        "share of all that second copies gain over first ones that they gain between half and twice the step at which "
        "prefix matching appears; by chance, that window's share of training, in the logarithm of the step",
        of_training.phase_change,
    ),
)
