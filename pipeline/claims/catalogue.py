"""Every claim in words: what is said, what is measured, and what its threshold may be.

A claim's function bears its name, in of_terms, of_heads, of_losses, of_training or of_vocabulary; its threshold
is in conf/judge.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A claim in words.

    `settings` are those of conf/judge that its function is given beside the tables; `statistic` may name them in
    braces. `low` and `high` bound the threshold.
    """

    name: str
    statement: str
    statistic: str
    settings: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


CLAIMS = (
    Claim(
        "position_position_largest",
        statement="The position-position term has the largest magnitude of the four",
        statistic="layer 0, mean over heads: row-centred variance of the position-position scores over that of all "
        "four terms, minus the same for the largest other term",
    ),
    Claim(
        "position_position_matters_most",
        statement="The position-position term is the most important of the four",
        statistic="layer 0, mean over heads: share of the scores' row-centred variance explained by the "
        "position-position term, minus that of the largest other term",
    ),
    Claim(
        "position_attends_to_previous",
        statement="By position alone, a token attends to the one before it",
        statistic="share of layer-0 heads whose mean position-position score, among offsets up to half the sequence, "
        "is largest one token back",
        low=0,
        high=1,
    ),
    Claim(
        "token_attends_to_itself",
        statement="By content alone, a token attends to itself",
        statistic="layer 0, mean over heads: token-token score on the diagonal minus the mean over keys",
    ),
    Claim(
        "shift_by_one",
        statement="There is a head that attends to the previous token",
        statistic="mean attention to the token before on held-out text, best head",
        low=0,
        high=1,
    ),
    Claim(
        "induction",
        statement="There is an induction head",
        statistic="prefix-matching mass on repeated random tokens, best head, worst period",
        low=0,
        high=1,
    ),
    Claim(
        "copying",
        statement="The induction head copies what it attends to",
        statistic="eigenvalue copying score of the best induction head's OV circuit",
        low=-1,
        high=1,
    ),
    Claim(
        "most_heads_copy",
        statement="Most heads copy",
        statistic="share of all heads whose OV eigenvalues are more positive than those of random weights "
        "(q < {significance})",
        settings=("significance",),
        low=0,
        high=1,
    ),
    Claim(
        "k_composition",
        statement="The previous-token head feeds the induction head's keys",
        statistic="K-composition of the best previous-token head with the best induction head, over that of random "
        "weights",
        low=0,
    ),
    Claim(
        "second_copy_gain",
        statement="What was seen before is predicted better",
        statistic="nats: loss on first minus loss on second copies of segments of held-out text",
    ),
    Claim(
        "natural_repeats_gain",
        statement="What text repeats by itself is predicted better the second time",
        statistic="nats: loss on first minus loss on second occurrences of what held-out text repeats by itself",
    ),
    Claim(
        "other_text_gain",
        statement="What was seen before is predicted better in text of another kind",
        statistic="nats: loss on first minus loss on second copies of segments of licences and manuals",
    ),
    Claim(
        "virtual_heads_matter",
        statement="Virtual heads matter",
        statistic="nats: loss on held-out text added by removing one head pair's path to the logits, best pair",
    ),
    Claim(
        "single_heads_before_pairs",
        statement="Heads alone matter more than pairs of heads in a row",
        statistic="nats on held-out text with a copied segment, patterns held: fall of the loss from the direct path "
        "to paths through one head, minus the fall from there to paths through two",
    ),
    Claim(
        "in_context_learning",
        statement="Later tokens are predicted better than earlier ones",
        statistic="nats on held-out text: mean loss from {early[0]:.0%} to {early[1]:.0%} of the sequence minus that "
        "from {late[0]:.0%} to {late[1]:.0%}",
        settings=("early", "late"),
    ),
    Claim(
        "late_text_is_harder",
        statement="Late in the sequence, text is predicted worse than in its middle",
        statistic="nats on held-out text: mean loss from {late[0]:.0%} to {late[1]:.0%} of the sequence minus that "
        "from {middle[0]:.0%} to {middle[1]:.0%}",
        settings=("middle", "late"),
    ),
    Claim(
        "induction_is_causal",
        statement="Induction heads are what predicts second copies",
        statistic="nats: loss added by removing the outputs of all heads whose induction score reaches that of the "
        "role, on second copies minus on novel tokens; by chance, that of random vectors of the same sizes",
    ),
    Claim(
        "previous_token_first",
        statement="The previous-token head forms before the induction head",
        statistic="doublings of the training step from the change point of the one to that of the other",
    ),
    Claim(
        "phase_change",
        statement="The loss falls when the induction head forms",
        statistic="share of all that second copies gain over first ones that they gain from 1/{window:g} of the step "
        "at which prefix matching appears to {window:g} times it; by chance, that window's share of training, in the "
        "logarithm of the step",
        settings=("window", "validity_resamples", "seed"),
    ),
    Claim(
        "neuron_has_one_subject",
        statement="The notebook's neuron answers to and promotes words about one subject",
        statistic="share of the tokens listed of neuron {neuron}'s key that are listed of its value too; by chance, "
        "were the value's drawn from the vocabulary, what no more than {significance:.0%} of draws exceed",
        settings=("neuron", "significance"),
        low=0,
        high=1,
    ),
    Claim(
        "ov_joins_words",
        statement="The notebook's head leads from the rest of a word to a beginning of one",
        statistic="share of the largest pairs of head {head}'s OV circuit from a token that begins with a letter to "
        "one that begins with a space and a letter; by chance, were both drawn from the vocabulary",
        settings=("head",),
        low=0,
        high=1,
    ),
    Claim(
        "qk_has_one_query",
        statement="What the notebook's head looks for, it looks for from one token",
        statistic="share of every second of the largest pairs of head {head}'s QK circuit whose query is the most "
        "frequent one of the other pairs; by chance, were queries drawn from the vocabulary",
        settings=("head",),
        low=0,
        high=1,
    ),
    Claim(
        "ov_pairs_as_counted",
        statement="The notebook's head has as many OV pairs beyond its limit as are counted there",
        statistic="pairs of head {head}'s OV circuit, by the notebook's recipe, and {counted[0]}: the smaller number "
        "over the larger",
        settings=("head", "counted"),
        low=0,
        high=1,
    ),
    Claim(
        "qk_pairs_as_counted",
        statement="The notebook's head has as many QK pairs beyond its limit as are counted there",
        statistic="pairs of head {head}'s QK circuit, by the notebook's recipe, and {counted[1]}: the smaller number "
        "over the larger",
        settings=("head", "counted"),
        low=0,
        high=1,
    ),
)
