"""Model families: one module each, from a checkpoint's own tensor names to the field's.

To add one, write a module with `parts(config, read)` and name it in FAMILIES under the `model_type`
that its config.json gives.
"""

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families import attention_only, bert, gpt2, gpt_neox, llama
from pipeline.models.families.parts import Parts, Read

FAMILIES = {
    "attention_only": attention_only.parts,
    "bert": bert.parts,
    "gpt2": gpt2.parts,
    "gpt_neox": gpt_neox.parts,
    "llama": llama.parts,
    "mistral": llama.parts,
    "qwen2": llama.parts,
}


def known(family: str | None) -> str:
    """Return a `model_type` that is known.

    Raises:
        ValueError: it is not; the line lists those that are.
    """
    if family not in FAMILIES:
        raise ValueError(f"model_type {family!r} is not a known family; known: {', '.join(sorted(FAMILIES))}")
    return family


def parts(config: dict, read: Read) -> Parts:
    """Map a checkpoint to the field's names, without reading a tensor yet.

    Args:
        config: the checkpoint's config.json, with every option written out.
        read: returns the checkpoint's tensor of a name; KeyError or SafetensorError if it has none.

    Raises:
        ValueError: the family is not known, or the model is one of its variants that is not.
    """
    return FAMILIES[known(config.get("model_type"))](config, read)


def to_weights(config: dict, read: Read) -> Weights:
    """Read a whole checkpoint; see `parts`."""
    return parts(config, read).weights()
