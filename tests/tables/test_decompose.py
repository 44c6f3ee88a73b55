import torch
from made_up_rows import options

from pipeline.circuits.terms.decomposition import decompose
from pipeline.tables.decompose import ATTENTION_TERMS, OFFSET_PROFILES, TERM_MAPS

TERM = {"step": 9, "query_source": "token", "key_source": "position"}
STATISTIC = TERM | {"statistic": "share", "component": "all", "confidence": 0.95, "n": 2}


def test_every_statistic_that_is_computed_has_a_name():
    sources = {name: (*torch.randn(2, 2, 3, 4, dtype=torch.float64),) for name in ("token", "position")}
    tokens, once = torch.tensor([[0, 1, 0], [2, 2, 1]]), torch.ones(1, 2, dtype=torch.float64)
    computed = decompose(sources, tokens, once, once[:, :1], 0.95, begins=False)["all"]
    statistics, components = map(set, zip(*computed.statistics, strict=True))
    assert options(ATTENTION_TERMS, "statistic") == statistics
    assert options(ATTENTION_TERMS, "component") == components


def test_a_share_may_be_negative_and_one_sentence_has_no_interval(kept, refusal):
    """Three shares of one head, 1 in total."""
    sources = {"token": 0.7, "position": -0.2, "0.1": 0.5}
    rows = kept(ATTENTION_TERMS, *(STATISTIC | {"query_source": name, "value": sources[name]} for name in sources))
    assert rows["query_source"].tolist() == sorted(sources)
    assert rows["value"].sum() == 1
    assert rows[["lo", "hi"]].isna().all(axis=None)
    variance = STATISTIC | {"statistic": "variance", "value": 1.0}
    assert len(kept(ATTENTION_TERMS, variance, variance | {"component": "residual"})) == 2
    assert "two rows share the key" in refusal(ATTENTION_TERMS, STATISTIC, STATISTIC)
    assert refusal(ATTENTION_TERMS, STATISTIC | {"n": 0}) == "column n: 0 is below 1"


def test_attention_by_distance_is_a_probability_and_that_of_one_term_is_none(kept, refusal):
    """A head that looks two back, and a term of its scores."""
    whole = TERM | {"query_source": "total", "key_source": "total"}
    rows = [whole | {"offset": n, "mean_score": 1.0, "mean_pattern": float(n == 2)} for n in (2, 1, 0)]
    table = kept(OFFSET_PROFILES, *rows, TERM | {"offset": 0, "mean_score": -3.0})
    assert table["mean_pattern"].fillna(-1).tolist() == [-1, 0, 0, 1]
    assert refusal(OFFSET_PROFILES, whole | {"mean_pattern": 1.5}) == "column mean_pattern: 1.5 is above 1"
    assert refusal(OFFSET_PROFILES, whole | {"offset": -1}) == "column offset: -1 is below 0"


def test_a_map_has_each_query_and_key_once(kept, refusal):
    entries = [
        TERM | {"query": query, "key": key, "score": 10.0 * query + key} for query, key in ((1, 1), (1, 0), (0, 0))
    ]
    assert kept(TERM_MAPS, *entries)["score"].tolist() == [0, 10, 11]
    assert "two rows share the key" in refusal(TERM_MAPS, entries[0], entries[0])
