"""The function that measures each claim."""

from collections.abc import Callable

from pipeline.claims import of_heads, of_losses, of_terms, of_training, of_vocabulary
from pipeline.claims.catalogue import CLAIMS
from pipeline.claims.finding import Finding, NotMeasured

# Claim -> its function: of one run's tables, and the settings that the claim names.
MEASURED: dict[str, Callable[..., Finding | NotMeasured | None]] = {
    claim.name: getattr(module, claim.name)
    for claim in CLAIMS
    for module in (of_terms, of_heads, of_losses, of_training, of_vocabulary)
    if hasattr(module, claim.name)
}
