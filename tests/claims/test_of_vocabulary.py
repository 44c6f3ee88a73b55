"""What is listed of a neuron and a head, made up so that every number is known."""

import json

import pandas as pd
import pytest

from pipeline.claims.finding import NotMeasured
from pipeline.claims.of_vocabulary import (
    neuron_has_one_subject,
    ov_joins_words,
    ov_pairs_as_counted,
    qk_has_one_query,
    qk_pairs_as_counted,
)

TEXTS = [" here", " there", "where", " near", "isbury", " Sal", "-", None, " 3", "ortunately"]
NEURON, HEAD = "3.7", "4.1"
RECIPE = {"min_value": {"OV": 200.0, "QK": 2.5}, "normaliser": "notebook", "pairs": 50}


def vocabulary():
    tokens = [f"t{token}" for token in range(len(TEXTS))]
    return pd.DataFrame({"token_id": range(len(TEXTS)), "text": TEXTS, "token": tokens})


def units(**lists):
    rows = [(matrix, rank, token) for matrix, tokens in lists.items() for rank, token in enumerate(tokens)]
    frame = pd.DataFrame(rows, columns=["matrix", "rank", "token_id"]).assign(layer=3, unit=7, end="top")
    return frame.assign(token="t" + frame["token_id"].astype(str))


def pairs(circuit, *listed):
    frame = pd.DataFrame(listed, columns=["row_id", "column_id"]).assign(circuit=circuit, layer=4, head=1)
    for side in ("row", "column"):
        frame[f"{side}_token"] = "t" + frame[f"{side}_id"].astype(str)
    return frame.assign(rank=range(len(frame)), end="top", emb_mode="embedding", distance=None)


def run(*listed, settings=RECIPE, neuron=None):
    made = pd.DataFrame({"stage": ["prepare", "project"], "settings": ["{}", json.dumps(settings)]})
    of_neuron = units(FF_key=[], FF_value=[]) if neuron is None else neuron
    return {"vocab_pairs": pd.concat(listed), "vocab_units": of_neuron, "vocabulary": vocabulary(), "runs": made}


OV = pairs("OV", (4, 5), (9, 5), (5, 4), (4, 9), (6, 8))
QK = pairs("QK", *((6, token) for token in (1, 2, 3, 4, 5)), (0, 1), (6, 7), (0, 2))


def test_the_neurons_lists_share_tokens_wherever_these_stand_in_them():
    """Two of four tokens; of the smallest values, and of another neuron, none counts.

    Four drawn of ten tokens have all four in common in 1 of 210 draws, three in 24.
    """
    listed = units(FF_key=[0, 1, 2, 6], FF_value=[3, 2, 0, 5])
    elsewhere = [listed.assign(end="bottom", token_id=6), units(FF_value=[1, 6]).assign(unit=8), units(W_V=[1, 6])]
    finding = neuron_has_one_subject(run(OV, neuron=pd.concat([listed, *elsewhere])), NEURON, 0.05)
    assert (finding.value, finding.chance, finding.exact) == (0.5, 0.75, True)
    assert finding.evidence == "2 of 4 tokens: t0 t2"


def test_ends_of_words_lead_to_beginnings_of_others():
    """Of five pairs two do: one leads back, one from an end to another, one from a sign to a number.

    Of ten tokens four begin a word and three go on with one.
    """
    finding = ov_joins_words(run(OV, QK), HEAD)
    assert (finding.value, finding.chance, finding.exact) == (0.4, pytest.approx(0.12), True)
    assert finding.evidence == "2 of 5 pairs: t4→t5, t9→t5"


def test_the_query_is_chosen_by_other_pairs_than_judge_it():
    """Of pairs 0, 2, 4, 6 all have the query 6; of 1, 3, 5, 7 two have."""
    finding = qk_has_one_query(run(OV, QK), HEAD)
    assert (finding.value, finding.chance, finding.exact) == (0.5, 0.1, True)
    assert finding.evidence == "query t6 in 50% of 4 pairs"
    assert isinstance(qk_has_one_query(run(QK.head(1)), HEAD), NotMeasured)


def test_pairs_are_counted_by_the_notebooks_recipe_alone():
    tables = run(OV, QK)
    finding = ov_pairs_as_counted(tables, HEAD, (4, 8))
    assert (finding.value, finding.chance, finding.exact) == (0.8, None, True)
    assert finding.evidence == "5 pairs above 200; 4 by the notebook"
    assert qk_pairs_as_counted(tables, HEAD, (4, 8)).value == 1
    assert ov_pairs_as_counted(run(QK), HEAD, (4, 8)).value == 0
    full = run(OV, QK, settings=RECIPE | {"pairs": 5})
    assert "5 pairs above 200, or more: the list is full" in ov_pairs_as_counted(full, HEAD, (4, 8)).evidence
    for other in ({"normaliser": "none"}, {"min_value": {"OV": None, "QK": None}}):
        unlimited = ov_pairs_as_counted(run(OV, settings=RECIPE | other), HEAD, (4, 8))
        assert unlimited.reason.startswith("only the notebook's recipe counts; here project.normaliser=")


def test_one_reading_counts_and_the_largest_alone():
    """Pairs behind the first feed-forward part, of another distance, the smallest, and another head's are left out."""
    other = ({"emb_mode": "after_mlp0"}, {"distance": 1}, {"end": "bottom"}, {"head": 2}, {"layer": 5})
    more = [OV.assign(row_id=0, **named) for named in other]
    assert ov_joins_words(run(OV, *more), HEAD).value == 0.4


def test_a_unit_that_is_not_there_is_not_measured_and_why_is_said():
    tables = run(OV, QK)
    nothing = "is none that this model has and project."
    assert neuron_has_one_subject(tables, NEURON, 0.05).reason == f"neuron 3.7 {nothing}neurons lists"
    for measure in (ov_joins_words, qk_has_one_query):
        assert measure(tables, "4.11").reason == f"head 4.11 {nothing}heads reads"
    assert ov_pairs_as_counted(tables, "4.11", (4, 8)).reason == f"head 4.11 {nothing}heads reads"
    assert ov_joins_words(run(QK), HEAD).reason == "head 4.1 has no pair of its OV circuit listed"
