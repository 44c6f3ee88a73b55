"""Tables of the verify stage: what was rebuilt from the weights, held against what it must equal."""

from pipeline.plumbing.schema import Column, Table

GATES = ("terms", "pattern", "logits", "parts", "paths", "orders", "factored", "gauge")

CHECKS = Table(
    name="checks",
    row="one quantity computed in two ways that must agree",
    key=("check", "quantity", "layer", "head"),
    columns=(
        Column(
            "check",
            "string",
            "name",
            "terms, pattern, logits: the sum of a head's terms, attention by that sum, and the logits after the last "
            "layer, against the model's own forward pass; parts: the logit of the token that comes, less the mean of "
            "all, summed over what each part of the model adds; paths: logits summed over all paths through heads; "
            "orders: loss of the paths of every order together; factored: scores of a circuit's factors against those "
            "of its dense matrix over part of the vocabulary; gauge: what a head computes and scores, before and after "
            "a random invertible map between its queries and keys and between its values and outputs",
            options=GATES,
        ),
        Column(
            "quantity",
            "string",
            "name",
            "what was compared; copying_* of the OV circuit, same_token_preference of the QK circuit, composition_* "
            "with the layer before",
        ),
        Column("layer", "int64", "index", "attention layer; null for the whole model", 0, nullable=True),
        Column("head", "int64", "index", "head; null for the whole model", 0, nullable=True),
        Column(
            "max_abs_error",
            "float64",
            "as the quantity",
            "largest absolute difference; null if not a number",
            0,
            nullable=True,
        ),
        Column("tolerance", "float64", "as the quantity", "largest difference allowed", 0),
        Column("passed", "bool", "none", "whether the error is within the tolerance"),
    ),
)
