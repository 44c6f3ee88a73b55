import json

import pytest
from smoke_benchmark import smoke_settings

from pipeline.settings.benchmark import BenchmarkSettings


def test_more_pairs_than_a_circuit_has_are_refused():
    settings = json.loads(smoke_settings().model_dump_json())
    with pytest.raises(ValueError, match="2501 are more than a circuit of 50 tokens has"):
        BenchmarkSettings.parse(settings | {"pairs": [2501]})
