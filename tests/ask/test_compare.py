import pandas as pd
import pytest

from pipeline.ask.compare import of_models, of_studies
from pipeline.ask.study import Study


def test_a_model_is_its_own_counterpart(model):
    for section in of_models(model, model):
        pairs = section.shown
        assert pairs["head of A"].tolist() == pairs["head of B"].tolist()
        assert pairs["correlation"].tolist() == pytest.approx([1.0] * 4)


def test_other_vocabularies_are_refused(model, gpt2):
    with pytest.raises(ValueError, match="different vocabularies"):
        next(of_models(model, gpt2))


def test_claims_that_differ_come_first(made, monkeypatch):
    verdicts = iter([["reproduced", "undecided"], ["reproduced", "reproduced"]])

    def table(self, name):
        return pd.DataFrame(
            {"experiment": "base", "claim": ["copying", "induction"], "value": 1.0, "verdict": next(verdicts)}
        )

    monkeypatch.setattr(Study, "table", table)
    (section,) = of_studies(str(made.study), str(made.study))
    assert section.shown["claim"].tolist() == ["induction", "copying"]
    assert section.note == "1 of 2 verdicts differ"
