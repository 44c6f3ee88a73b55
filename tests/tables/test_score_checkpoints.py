from made_up_rows import options

from pipeline.tables.score import HEAD_SCORES
from pipeline.tables.score_checkpoints import CHECKPOINT_SCORES, CHECKPOINT_SENTENCES

HEAD = {"step": 10, "layer": 1, "head": 2, "metric": "induction", "definition": "mass", "eval_set": "repeated_tokens"}


def test_model_heads_and_pairs_stand_in_one_table_in_order_of_training(kept, refusal):
    """At each of two steps: the loss, a head's attention, and what feeds it."""
    pair = HEAD | {"src_layer": 0, "src_head": 1, "metric": "K_composition", "eval_set": "weights"}
    model = {"step": 10, "metric": "loss", "definition": "other", "eval_set": "text"}
    later = [row | {"step": 20, "value": 2.0} for row in (pair, HEAD, model)]
    rows = kept(CHECKPOINT_SCORES, *later, pair | {"value": 1.0}, HEAD | {"value": 1.0}, model | {"value": 1.0})
    assert rows["step"].tolist() == [10] * 3 + [20] * 3
    assert rows["metric"].tolist() == ["loss", "induction", "K_composition"] * 2
    assert rows["src_head"].isna().tolist() == [True, True, False] * 2
    assert len(kept(CHECKPOINT_SCORES, HEAD | {"period": 5}, HEAD | {"period": 7})) == 2
    assert "two rows share the key" in refusal(CHECKPOINT_SCORES, HEAD, HEAD)


def test_a_checkpoint_is_of_a_training_that_is_known(refusal):
    assert refusal(CHECKPOINT_SCORES, HEAD | {"step": -1}) == "column step: -1 is below 0"
    assert "step: int64 not null" in refusal(CHECKPOINT_SCORES, HEAD, HEAD | {"step": None})


def test_it_is_measured_where_heads_are():
    assert options(CHECKPOINT_SCORES, "eval_set") == options(HEAD_SCORES, "eval_set")


def test_a_sentence_without_targets_has_no_value_and_no_weight(kept, refusal):
    sentence = {"step": 10, "layer": 1, "head": 2, "eval_set": "repeated_tokens", "period": 5, "sentence": 0}
    some = sentence | {"sentence": 1, "value": 0.5, "weight": 3}
    rows = kept(CHECKPOINT_SENTENCES, sentence | {"value": None, "weight": 0}, some)
    assert rows["value"].isna().tolist() == [True, False]
    assert "two rows share the key" in refusal(CHECKPOINT_SENTENCES, sentence, sentence)
