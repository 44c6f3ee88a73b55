import pytest

from pipeline.plumbing.schema import TYPES, Column, Table

STEP = Column("step", "int64", "steps", "when", 0)
LOSS = Column("loss", "float64", "nats", "how bad", 0)
CURVE = Table("curve", "one loss", ("step",), (LOSS, STEP))


@pytest.mark.parametrize("unknown", ["int", "float32", "list<string>"])
def test_a_type_that_is_not_stored_is_refused_with_those_that_are(unknown):
    with pytest.raises(ValueError, match=rf"^column loss: type '{unknown}' is not one of int64, int32, ") as error:
        Column("loss", unknown, "nats", "how bad")
    assert all(name in str(error.value) for name in TYPES)


def test_a_key_is_made_of_columns():
    with pytest.raises(ValueError, match=r"^table curve: key names unknown columns \['seed', 'split'\]$"):
        Table("curve", "one loss", ("split", "step", "seed"), (LOSS, STEP))


def test_columns_keep_their_order_whatever_the_key():
    assert CURVE.names == ["loss", "step"]


def test_what_readers_get_is_led_by_experiment_and_seed():
    shown = CURVE.with_run()
    assert (shown.name, shown.row) == ("curve", "one loss")
    assert shown.names == ["experiment", "seed", "loss", "step"]
    assert shown.key == ("experiment", "seed", "step")
    assert shown.columns[2:] == (LOSS, STEP)
    assert (shown.columns[1].type, shown.columns[1].low, shown.columns[1].nullable) == ("int64", 0, False)
    assert CURVE.names == ["loss", "step"]  # what stages write stays as it is
