"""A study of made-up numbers, whose verdicts are known."""

import pandas as pd
import pytest
from made_up_rows import filled

from pipeline import judge
from pipeline.claims.catalogue import CLAIMS
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.compose import compose
from pipeline.settings.judge import JudgeSettings
from pipeline.tables.judge.claims import CLAIMS as CLAIMS_TABLE
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE, TABLES
from pipeline.tables.summarise import RUNS

EXPERIMENTS = ("base", "other")
SEEDS = (0, 1, 2)


def head_scores(experiment, seed):
    """A previous-token head and an induction head; in the experiment `other`, neither."""
    strength = 0.9 if experiment == "base" else 0.1
    scored = [
        (0, "previous_token", "mean", "text", None, strength),
        (1, "induction", "mass", "repeated_tokens", 37, strength),
        (1, "copying", "eigenvalue", "weights", None, strength),
    ]
    names = ("layer", "metric", "definition", "eval_set", "period", "value")
    constant = {"experiment": experiment, "seed": seed, "head": 0, "chance": 0.02}
    rows = [dict(zip(names, row, strict=True)) | constant for row in scored]
    for row in rows:
        row["value"] += 0.01 * seed
        row |= {"lo": row["value"] - 0.02, "hi": row["value"] + 0.02}
    return rows


@pytest.fixture(scope="module")
def judge_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    runs = [(experiment, seed) for experiment in EXPERIMENTS for seed in SEEDS]
    rows = {"head_scores": [row for run in runs for row in head_scores(*run)]}
    made_of_sentences = [row for row in rows["head_scores"] if row["eval_set"] != "weights"]
    rows["sentence_scores"] = [row | {"sentence": n, "weight": 1.0} for row in made_of_sentences for n in range(4)]
    rows["runs"] = [{"experiment": one, "seed": seed, "stage": "probe", "id": "a"} for one, seed in runs]
    tables = [table.with_run() for stage in judge.STAGES for table in OF_A_RUN[stage]]
    tables += [TABLES[name].with_run() for name in ("vocabulary", "vocab_pairs", "vocab_units")]
    files = {table.name: folder / f"{table.name}.parquet" for table in (*tables, RUNS, *OF_JUDGE)}
    for table in (*tables, RUNS):
        write(table, filled(table, rows.get(table.name, [])), Paths([files[table.name]]))
    outputs = Paths([files[table.name] for table in OF_JUDGE])

    def judged_with(*overrides):
        settings = compose(overrides, (), "base", 0)["judge"] | {"experiments": list(EXPERIMENTS)}
        judge.run(JudgeSettings.parse(settings), Paths(list(files.values())), outputs)
        return {table.name: read(table, outputs) for table in OF_JUDGE}

    return judged_with


@pytest.fixture(scope="module")
def judged(judge_study):
    return judge_study()


def test_every_claim_is_judged_on_every_experiment(judged):
    claims = judged["claims"]
    assert len(claims) == len(EXPERIMENTS) * len(CLAIMS)
    assert list(claims.columns) == [column.name for column in CLAIMS_TABLE.columns]


@pytest.mark.parametrize(
    ("experiment", "claim", "verdict"),
    [
        ("base", "induction", "reproduced"),
        ("base", "shift_by_one", "reproduced"),
        ("other", "induction", "not reproduced"),
        ("other", "copying", "not reproduced"),
        ("base", "k_composition", "not applicable"),
        ("base", "phase_change", "not applicable"),
        ("other", "neuron_has_one_subject", "not measured"),
        ("other", "ov_joins_words", "not measured"),
    ],
)
def test_the_verdict_is_that_of_the_seeds(judged, experiment, claim, verdict):
    claims = judged["claims"].set_index(["experiment", "claim"])
    row = claims.loc[experiment, claim]
    assert row["verdict"] == verdict
    assert row["n_seeds"] == (0 if verdict in ("not applicable", "not measured") else len(SEEDS))
    assert (verdict == "not measured") == (" is none that this model has and project." in row["evidence"])


def test_a_number_of_one_model_of_which_nothing_is_drawn_is_its_own_interval(judge_study):
    """Half of the pairs join words; the threshold is half. Of two models the interval is over models, as of any other.

    Sentences, and seeds of one number alone, leave it undecided.
    """
    words = pd.DataFrame({"token_id": [0, 1], "text": [" a", "b"]})
    pairs = pd.DataFrame({"row_id": [1, 0], "column_id": [0, 1], "rank": [0, 1], "row_token": "r", "column_token": "c"})
    where = {"layer": 3, "head": 1, "circuit": "OV", "end": "top", "emb_mode": "embedding", "distance": None}
    run = {"vocabulary": words, "vocab_pairs": pairs.assign(**where)}
    settings = JudgeSettings.parse(compose(("judge.head='3.1'",), (), "base", 0)["judge"] | {"experiments": ["base"]})
    claim = next(claim for claim in CLAIMS if claim.name == "ov_joins_words")
    alone, twice = (judge.judged(claim, "base", dict.fromkeys(seeds, run), settings) for seeds in ([0], [0, 1]))
    assert (alone["lo"], alone["value"], alone["hi"]) == (0.5, 0.5, 0.5)
    assert alone["verdict"] == "reproduced"
    assert "head 3.1" in alone["statistic"]
    assert (twice["n_seeds"], twice["value"], twice["verdict"]) == (2, 0.5, "reproduced")
    elsewhere = judge.judged(claim, "base", {0: run, 1: run | {"vocab_pairs": run["vocab_pairs"].iloc[:0]}}, settings)
    assert (elsewhere["n_seeds"], elsewhere["verdict"]) == (1, "reproduced")
    assert elsewhere["evidence"].endswith("; seed 1: head 3.1 is none that this model has and project.heads reads")


def test_heads_have_roles_and_experiments_effects(judged):
    roles = judged["head_roles"]
    assert len(roles) == len(EXPERIMENTS) * len(SEEDS) * 2
    assert (roles.query("experiment == 'base' and layer == 0")["role"] == "previous_token").all()
    # Without ablations and challenge_scores nothing says that the matching head is causal.
    induction = roles[roles["role"] == "induction"]
    assert set(induction["layer"]) == {1}
    assert induction["unmeasured"].str.endswith("causal, specific").all()
    effects = judged["effects"]
    assert set(effects["against"]) == {"base"}
    changed = effects.query("role == 'previous_token' and metric == 'previous_token'").iloc[0]
    assert changed["difference"] == pytest.approx(-0.8)


def test_one_confidence_and_one_significance_are_everywhere(judge_study, judged):
    sure, less = judged, judge_study("confidence=0.5", "significance=0.2")
    for name, frame in less.items():
        if "confidence" in frame:
            assert set(frame["confidence"]) <= {0.5}, name
            assert set(sure[name]["confidence"]) <= {0.95}, name
        if "significance" in frame:
            assert set(frame["significance"]) <= {0.2}, name
    for name in ("claims", "intervals"):
        length, shorter = ((tables[name]["hi"] - tables[name]["lo"]).dropna() for tables in (sure, less))
        assert (shorter <= length).all()
        assert shorter.sum() < length.sum()
    statistics = less["claims"].drop_duplicates("claim").set_index("claim")["statistic"]
    assert statistics["most_heads_copy"].endswith("(q < 0.2)")
    assert "from 10% to 20% of the sequence minus that from 90% to 100%" in statistics["in_context_learning"]


def test_tables_that_have_an_interval_say_how_sure_it_is():
    for table in OF_JUDGE:
        assert ({"lo", "hi"} <= set(table.names)) <= ("confidence" in table.names), table.name
        assert ("q" in table.names) <= ("significance" in table.names), table.name


def test_each_run_sees_its_own_rows():
    rows = pd.DataFrame({"experiment": ["base", "base", "other"], "seed": [1, 0, 1], "value": [3, 2, 5]})
    runs = judge.runs_of({"runs": rows, "scores": rows}, "base")
    assert [(seed, run["scores"]["value"].tolist()) for seed, run in runs] == [(0, [2]), (1, [3])]
