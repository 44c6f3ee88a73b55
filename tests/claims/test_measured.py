import inspect
from pathlib import Path

import pytest

from pipeline.claims import of_heads, of_losses, of_terms, of_training, of_vocabulary
from pipeline.claims.catalogue import CLAIMS
from pipeline.claims.finding import Finding, NotMeasured
from pipeline.claims.measured import MEASURED

MODULES = (of_terms, of_heads, of_losses, of_training, of_vocabulary)


def test_every_claim_has_one_function_and_every_function_a_claim():
    functions = [
        name
        for module in MODULES
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert sorted(functions) == sorted(claim.name for claim in CLAIMS)
    assert set(MEASURED) == set(functions)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_function_is_given_the_tables_and_what_its_claim_names(claim):
    signature = inspect.signature(MEASURED[claim.name])
    assert tuple(signature.parameters) == ("tables", *claim.settings)
    assert signature.return_annotation in (Finding | None, Finding | NotMeasured)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_has_a_test(claim):
    module = MEASURED[claim.name].__module__.rpartition(".")[2]
    assert f"{claim.name}(" in (Path(__file__).parent / f"test_{module}.py").read_text(encoding="utf-8")
