"""What the tests of faults compare with."""

import pytest
from tiny_study import contents, snakemake, with_tiny_studies


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A folder in which nothing disturbed the tiny study."""
    folder = with_tiny_studies(tmp_path_factory.mktemp("undisturbed"))
    finished = snakemake(folder, "--config", "study=tiny")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder


@pytest.fixture(scope="session")
def expected(undisturbed):
    """Every file that nothing disturbed."""
    return contents(undisturbed)
