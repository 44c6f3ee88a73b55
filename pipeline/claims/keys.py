"""How tables name runs, heads and scores."""

RUN = ["experiment", "seed"]
HEAD = [*RUN, "layer", "head"]
SCORE = ["metric", "definition", "eval_set"]


def head_name(layer: int, head: int) -> str:
    """Return `layer.head`."""
    return f"{layer}.{head}"
