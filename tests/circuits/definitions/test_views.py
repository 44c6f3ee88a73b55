import math

import pytest
import torch
from untrained import model, sequences

from pipeline.circuits.definitions.views import Pass, Paths, Predictions, Tokens
from pipeline.circuits.scores.head_patterns import entropy_share
from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses

# 0 begins; 1 is followed by 2, then by 3, then comes a third time; 5 4 6 and 7 4 8 before a last 7 4.
AMBIGUOUS = torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5], [0, 1, 2, 1, 3, 9, 6, 1, 7]])
TOLD_APART = torch.tensor([[0, 5, 4, 6, 7, 4, 8, 7, 4, 1], [0, 5, 4, 6, 7, 4, 8, 5, 4, 1]])
REPEATED = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 1, 4], [0, 4, 3, 9, 9, 3, 9, 4, 3]])
W = model(0)


def entries(tokens, chosen):
    mask = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    for sentence, row in enumerate(tokens.tolist()):
        for query in range(len(row)):
            for key in chosen(row, query):
                mask[sentence, query, key] = True
    return mask


@pytest.mark.parametrize("tokens", [AMBIGUOUS, TOLD_APART, REPEATED])
def test_every_role_looks_where_its_words_say(tokens):
    view = Tokens(tokens, first=1)
    followers = lambda row, query: [key for key in range(2, query + 1) if row[key - 1] == row[query]]  # noqa: E731
    assert view.targets.equal(entries(tokens, followers))
    assert view.previous.equal(entries(tokens, lambda row, query: [query - 1] if query else []))
    copies = entries(tokens, lambda row, query: [key for key in range(query) if row[key] == row[query]])
    assert view.copies.equal(copies)


def test_rivals_are_the_targets_that_the_context_tells_apart():
    recent, earlier = Tokens(AMBIGUOUS, 1, context=1).rivals
    assert recent[0].nonzero().tolist() == [[7, 5]]
    assert earlier[0].nonzero().tolist() == [[7, 2]]


def test_other_sequences_have_no_rivals():
    with pytest.raises(ValueError, match="rivals: these sequences are not ambiguous"):
        _ = Tokens(AMBIGUOUS, 1).rivals


def test_predictions_are_right_lost_and_foretold_as_the_logits_and_tokens_say():
    trace = forward(W, REPEATED)
    seen = Predictions(trace, Tokens(REPEATED, 1))
    torch.testing.assert_close(seen.losses, token_losses(trace.logits, REPEATED), equal_nan=True)
    for sentence, row in enumerate(REPEATED.tolist()):
        pairs = [tuple(row[place : place + 2]) for place in range(1, len(row) - 1)]
        for place in range(1, len(row)):
            assert seen.right[sentence, place] == (trace.logits[sentence, place - 1].argmax() == row[place])
            foretold = place >= 2 and (row[place - 1], row[place]) in pairs[: place - 2]
            assert seen.foretold[sentence, place] == foretold
            assert seen.novel[sentence, place] == (not foretold)
    assert not (seen.foretold[:, 0] | seen.novel[:, 0] | seen.right[:, 0]).any()  # nothing predicts the first token
    assert seen.d_vocab == 12
    assert seen.even_loss == pytest.approx(math.log(12))


def test_the_lead_is_a_difference_of_logits_where_there_are_rivals():
    trace = forward(W, AMBIGUOUS)
    seen = Predictions(trace, Tokens(AMBIGUOUS, 1, context=1))
    assert seen.contested.nonzero().tolist() == [[0, 7], [1, 7]]
    for sentence in range(2):
        first, second = 3, 2  # the later and the earlier token that followed `1`
        expected = trace.logits[sentence, 7, first] - trace.logits[sentence, 7, second]
        torch.testing.assert_close(seen.lead[sentence, 7], expected.double())
    assert (seen.lead.masked_fill(seen.contested, 0) == 0).all()


def test_paths_of_all_pairs_and_the_layers_own_reading_make_up_what_the_layer_writes():
    tokens = sequences()[None]
    trace = forward(W, tokens)
    through = [Paths(Held.of(W, trace), (0, head), 1) for head in range(W.n_heads)]
    virtual = sum(z @ W_O for paths in through for z, W_O in zip(paths.z, W.W_O[1], strict=True))
    direct = sum(
        trace.pattern[:, 1, head] @ W.W_E[tokens] @ W.W_V[1, head] @ W.W_O[1, head] for head in range(W.n_heads)
    )
    torch.testing.assert_close(through[0].written, virtual + direct, atol=1e-3, rtol=1e-4)
    shares = through[0].norm_shares()
    for head, z in enumerate(through[0].z):
        share = (z @ W.W_O[1, head]).norm() / through[0].written.norm()
        assert shares[head].item() == pytest.approx(share.item(), rel=1e-4)
    assert through[0].losses_removed().shape == (len(tokens), W.n_heads)
    added = through[0].logit_contributions()
    logits = through[0].z[1] @ W.W_O[1, 1] @ W.W_U
    lead = (logits - logits.mean(-1, keepdim=True))[:, :-1].gather(-1, tokens[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(added[:, 1], lead.double().mean(-1), atol=1e-4, rtol=1e-4)


def test_a_pass_is_of_one_layer_and_knows_no_logits_that_do_not_add_up():
    tokens = sequences()[None]
    trace = forward(W, tokens)
    passes = [Pass(W, trace, Held.of(W, trace), layer, first=1) for layer in (0, 1)]
    for layer, seen in enumerate(passes):
        torch.testing.assert_close(seen.entropy(), entropy_share(trace.pattern[:, layer]))
        assert seen.inactivity().mean().item() == pytest.approx(0, abs=1e-6)
        assert seen.attended_logits().shape == (len(tokens), W.n_heads)
    assert Pass(W, trace, None, 1, 1).attended_logits().isnan().all()
