"""What a closed form gives: a number, or a sentence that says why there is none."""

Expected = float | str

UNDEFINED = "undefined: the circuit is zero"
UNCOUNTED = "undefined: there is nothing to count"
ROUNDING = "the circuit is zero but for rounding, which decides"
TIES = "scores are equal, and the tie decides"
DISTRACTED = "the layer's sum holds what distractors write, which is random"
WORDLESS = "none of the network's tokens is a word"
UNFED = "the network has no feed-forward part"
DEPENDS = "depends on the draw of the weights"
