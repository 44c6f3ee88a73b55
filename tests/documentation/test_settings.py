import json
from pathlib import Path

import jsonschema
import pytest

from pipeline.documentation.settings import schema
from pipeline.plumbing.compose import CONF, compose

SCHEMA = json.loads(schema())


def test_the_schema_is_in_step():
    # python -m pipeline.documentation.settings > conf/schema.json
    assert (CONF / "schema.json").read_text() == schema()


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("experiment", sorted(path.stem for path in Path(CONF, "experiment").glob("*.yaml")))
def test_every_experiment_fits(experiment):
    jsonschema.validate(compose((), (), experiment, 0), SCHEMA)


@pytest.mark.parametrize("override", ["train.steps=0", "model.n_heads=many", "tokenizer.d_vocab=3"])
def test_what_the_settings_refuse_does_not_fit(override):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose((), (override,), "base", 0), SCHEMA)
