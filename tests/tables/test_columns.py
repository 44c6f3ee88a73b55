from collections import Counter

import pytest

from pipeline.circuits.definitions.expectations import ABLATED
from pipeline.models.sequences import TOKEN_CLASSES
from pipeline.plumbing.schema import Column
from pipeline.settings.ablate import AblateSettings
from pipeline.tables import columns
from pipeline.tables.registry import TABLES

SHARED = [value for value in vars(columns).values() if isinstance(value, Column)]


def test_a_token_is_of_a_class_that_sequences_have():
    assert columns.TOKEN_CLASS.options == TOKEN_CLASSES


def test_what_is_ablated_is_a_set_of_sequences():
    (sets,) = AblateSettings.model_fields["eval_sets"].annotation.__args__[:1]
    assert set(ABLATED) <= set(sets.__args__) < set(columns.EVAL_SET.options)


def test_what_counts_from_0_may_be_0_and_a_period_may_not():
    for column in (columns.LAYER, columns.HEAD, columns.STEP, columns.TOKEN_ID, columns.SENTENCE, columns.POSITION):
        assert column.low == 0
    assert (columns.PERIOD.low, columns.PERIOD.nullable) == (1, True)
    assert {(column.low, column.high) for column in (columns.CONFIDENCE, columns.SIGNIFICANCE)} == {(0, 1)}


@pytest.mark.parametrize("column", SHARED, ids=lambda column: column.name)
def test_a_column_is_shared(column):
    tables = Counter(shown for table in TABLES.values() for shown in table.columns)
    assert tables[column] > 1
