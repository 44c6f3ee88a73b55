"""Model families: a table each, from the field's names to those of a family's checkpoints.

To add one, write a `Family` in a module of its own and name it in FAMILIES; `family.py` says what its fields
mean. Its test holds the rebuilt model against the library's own: see tests/models/families.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families.attention_only import ATTENTION_ONLY
from pipeline.models.families.bert import BERT
from pipeline.models.families.family import Family
from pipeline.models.families.gemma import GEMMA, GEMMA2
from pipeline.models.families.gpt2 import GPT2
from pipeline.models.families.gpt_neo import GPT_NEO
from pipeline.models.families.gpt_neox import GPT_NEOX
from pipeline.models.families.lazy_weights import LazyWeights, Read
from pipeline.models.families.llama import LLAMA, MISTRAL, QWEN2
from pipeline.models.families.llama_normed import OLMO, STABLELM, STARCODER2
from pipeline.models.families.opt import OPT
from pipeline.models.families.phi import PHI, PHI3

FAMILIES = (
    ATTENTION_ONLY,
    BERT,
    GEMMA,
    GEMMA2,
    GPT2,
    GPT_NEO,
    GPT_NEOX,
    LLAMA,
    MISTRAL,
    OLMO,
    OPT,
    PHI,
    PHI3,
    QWEN2,
    STABLELM,
    STARCODER2,
)

# By model_type: what a family needs that no other has.
_SLOPES = "scores that fall with distance (ALiBi) in circuits/transformer, and a table"
NEEDED = {"bloom": _SLOPES, "mpt": _SLOPES}


def family_of(config: Mapping[str, Any]) -> Family:
    """Return the family that a config.json names.

    Raises:
        ValueError: it is not known; the line lists those that are.
    """
    by_type = {model_type: family for family in FAMILIES for model_type in family.model_types}
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in by_type:
        raise ValueError(
            f"model_type {model_type!r} is not a known family; known: {', '.join(sorted(by_type))}; "
            f"another needs {NEEDED.get(str(model_type), 'a table')} in pipeline/models/families (CONTRIBUTING.md)"
        )
    return by_type[model_type]


def lazy_weights(config: Mapping[str, Any], read: Read) -> LazyWeights:
    """Bring a checkpoint under the field's names, without reading a tensor yet.

    Args:
        config: the checkpoint's config.json, with every option written out.
        read: returns the checkpoint's tensor of a name; KeyError or SafetensorError if it has none.

    Raises:
        ValueError: the family is not known, or the model is one of its variants that is not.
    """
    family = family_of(config)
    for option, value in family.usual.items():
        if config.get(option, value) != value:
            raise ValueError(f"config.json: {option}={config[option]} is not supported; only {value} is")
    return LazyWeights(family, config, read)


def to_weights(config: Mapping[str, Any], read: Read) -> Weights:
    """Read a whole checkpoint; see `lazy_weights`."""
    return lazy_weights(config, read).load()
