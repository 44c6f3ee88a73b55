"""The whole workflow on checkpoints of the transformers library: minutes, so run with -m slow."""

import json

import pandas as pd
import pytest
from tiny_checkpoints import CHECKPOINTS, model_of
from tiny_study import copied, snakemake

from pipeline.models import families
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE

FAMILIES = [
    model_type for family in families.FAMILIES for model_type in family.model_types if model_type in CHECKPOINTS
]
WINDOWS = {"mistral": {"sliding_window": 24}, "gemma2": {"sliding_window": 24}, "gpt_neo": {"window_size": 24}}
OVERRIDES = [
    *("model=hub", "tokenizer=none", "data=repeated_tokens", "data.documents=20", "data.document_tokens=200"),
    *("model.n_ctx=24", "probe.sentences=4", "probe.periods=[5,7]", "probe.min_length=3", "probe.max_length=9"),
    *("challenge.segment=5", "decompose.resamples=40"),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of a study of one checkpoint of each family."""
    folder = copied(tmp_path_factory.mktemp("checkpoints"))
    experiments = {}
    for family in FAMILIES:
        model_of(family, **WINDOWS.get(family, {})).save_pretrained(folder / family)
        overrides = [f"model.path={folder / family}"]
        experiments[family] = {"experiment": "base", "seeds": [0], "overrides": overrides}
    study = {"overrides": OVERRIDES, "experiments": experiments}
    (folder / "conf/study/own.yaml").write_text(json.dumps(study))  # JSON is YAML
    finished = snakemake(folder, "-c2", "--config", "study=own")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return {file.stem: pd.read_parquet(file) for file in (folder / "results/studies/own").glob("*.parquet")}


def of(tables, name, family):
    return tables[name][tables[name]["experiment"] == family]


def test_every_table_is_there(tables):
    declared = {table.name for stage in OF_A_RUN.values() for table in stage} | {table.name for table in OF_JUDGE}
    assert set(tables) == declared | {"runs", "alignment", "manifest"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gate_was_passed(tables, family):
    checks = of(tables, "checks", family)
    assert checks["passed"].all()
    sums = set() if family in ("bert", "gemma2") else {"parts", "orders"}  # of logits that add up
    assert set(checks["check"]) == {"terms", "pattern", "logits", "factored", "gauge"} | sums


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_weights_tell_is_told_of_every_family(tables, family):
    assert set(of(tables, "vocab_pairs", family)["circuit"]) == {"OV", "QK"}
    assert {"copying", "same_token_preference"} <= set(of(tables, "head_scores", family)["metric"])
    assert {f"{kind}_composition" for kind in "QKV"} <= set(of(tables, "head_pairs", family)["metric"])


@pytest.mark.parametrize("family", FAMILIES)
def test_what_reads_earlier_tokens_alone_is_not_told_of_a_model_that_attends_both_ways(tables, family):
    terms = ("attention_terms", "offset_profiles", "term_maps")
    for name in (*terms, "loss_by_position", "ablations"):
        untold = family == "bert" or (family == "gemma2" and name in terms)  # whose scores are capped
        assert of(tables, name, family).empty == untold, name


@pytest.mark.parametrize("family", FAMILIES)
def test_claims_that_need_what_the_model_lacks_are_not_applicable(tables, family):
    verdicts = of(tables, "claims", family).set_index("claim")["verdict"]
    assert set(verdicts) <= {"not applicable", "undecided"}  # one seed has no interval
    assert "not applicable" in set(verdicts)


def test_a_model_made_elsewhere_has_no_past(tables):
    assert tables["training_curve"].empty
    assert tables["checkpoint_scores"].empty
