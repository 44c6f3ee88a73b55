import pytest
import torch
from family_checks import saved_weights
from torch.testing import assert_close

from pipeline.circuits.causes.logit_parts import logit_parts, stream_parts
from pipeline.circuits.transformer.forward import forward
from pipeline.models.tiny import CHECKPOINTS, D_VOCAB

BEFORE = [name for name in CHECKPOINTS if name != "bert"]


def read(save, name):
    weights = saved_weights(save, name)[1].double()
    return weights, forward(weights, torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]))


@pytest.mark.parametrize("name", BEFORE)
def test_parts_sum_to_the_stream_and_to_the_logits_of_every_family(save, name):
    weights, trace = read(save, name)
    assert_close(sum(stream_parts(weights, trace).values()), trace.resid[:, -1])
    for answer, against in ((7, 2), (0, D_VOCAB - 1)):
        parts = logit_parts(weights, trace, answer, against)
        assert_close(sum(parts.values()), trace.logits[..., answer] - trace.logits[..., against])
        alone = logit_parts(weights, trace, answer)
        assert_close(sum(alone.values()), trace.logits[..., answer] - trace.logits.mean(-1))


def test_a_head_wrote_what_is_lost_when_only_it_is_taken_away_behind_a_frozen_norm(save):
    weights, trace = read(save, "gpt2")
    gone = trace.resid[:, -1] - trace.z[:, 1, 2] @ weights.W_O[1, 2]
    resid = trace.resid[:, -1]
    scale = (resid.var(-1, correction=0) + weights.ln_eps).sqrt()[..., None]
    logits = (
        (gone - gone.mean(-1, keepdim=True)) / scale * weights.ln_final_gain + weights.ln_final_bias
    ) @ weights.W_U
    lost = (trace.logits - logits)[..., 7] - (trace.logits - logits)[..., 2]
    assert_close(logit_parts(weights, trace, 7, 2)["1.2"], lost)


def test_norms_on_the_stream_itself_are_refused(save):
    weights, trace = read(save, "bert")
    with pytest.raises(ValueError, match="norms stand on the stream itself"):
        stream_parts(weights, trace)
