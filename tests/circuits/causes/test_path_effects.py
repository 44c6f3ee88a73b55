import math

import pytest
import torch
from hand_wired import COPY, D_VOCAB, PERIOD, induction_network, tokens
from torch.testing import assert_close

from pipeline.circuits.causes import path_effects
from pipeline.circuits.causes.paths import path_names
from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses

N_PATHS, N_TOKENS = 9, 70  # more than one block


def parts(paths=N_PATHS):
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(paths, N_TOKENS, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(6, (N_TOKENS,), generator=generator)
    classes = torch.stack([torch.ones(N_TOKENS, dtype=torch.bool), torch.arange(N_TOKENS) % 3 == 0])
    return logits, targets, classes


def loss_of(logits, target):
    return math.log(sum(math.exp(x) for x in logits.tolist())) - float(logits[target])


def test_the_predictions_of_a_network():
    weights, sequences = induction_network(), tokens()
    trace = forward(weights, sequences)
    logits, targets = path_effects.predictions(Held.of(weights, trace))
    losses = path_effects.placed(path_effects.losses(logits.sum(0), targets), len(sequences))
    assert_close(losses, token_losses(trace.logits, sequences), equal_nan=True)


def test_only_the_induction_head_speaks_to_the_logits():
    weights, sequences = induction_network(), tokens()
    logits, targets = path_effects.predictions(Held.of(weights, forward(weights, sequences)))
    told = torch.zeros(sequences.shape, dtype=torch.bool)
    told[:, PERIOD + 2 :] = True
    place = path_names(weights).index(("direct", "1.0"))
    others = [path for path in range(N_PATHS) if path != place]
    contribution = path_effects.placed(path_effects.contributions(logits, targets), len(sequences))
    assert_close(contribution[place][told], torch.full_like(contribution[place][told], COPY - COPY / D_VOCAB))
    assert (contribution[others][:, told] == 0).all()

    removed = path_effects.placed(path_effects.losses_removed(logits, targets), len(sequences))
    gain = math.log(D_VOCAB) - math.log(math.exp(COPY) + D_VOCAB - 1) + COPY
    assert_close(removed[place][told], torch.full_like(removed[place][told], gain))
    assert_close(removed[others][:, told], torch.zeros_like(removed[others][:, told]))

    share, half_width = path_effects.shares(logits, targets, told[:, 1:].flatten()[None], 2, 0.95, torch.Generator())
    assert share[place].item() == pytest.approx(gain)
    assert_close(share[others], torch.zeros_like(share[others]))
    assert_close(half_width, torch.zeros_like(half_width))


def test_losses_removed_by_plain_loops():
    logits, targets, _ = parts()
    removed = path_effects.losses_removed(logits, targets)
    for token, target in enumerate(targets.tolist()):
        whole = loss_of(logits[:, token].sum(0), target)
        for path in range(N_PATHS):
            others = [other for other in range(N_PATHS) if other != path]
            expected = loss_of(logits[others, token].sum(0), target) - whole
            assert removed[path, token].item() == pytest.approx(expected)


def test_shares_sum_to_the_fall_from_even_guessing():
    logits, targets, classes = parts()
    share, half_width = path_effects.shares(logits, targets, classes, 3, 0.95, torch.Generator().manual_seed(0))
    losses = path_effects.losses(logits.sum(0), targets)
    for kind, members in enumerate(classes):
        assert share[:, kind].sum().item() == pytest.approx(math.log(6) - losses[members].mean().item())
    assert (half_width > 0).all()


def test_sampled_shares_agree_with_exact_ones():
    logits, targets, classes = parts(paths=5)
    each = {f"path {path}": torch.tensor([path]) for path in range(5)}
    exact = path_effects.group_shares(path_effects.group_worths(logits, targets, each))["share"]
    share, half_width = path_effects.shares(logits, targets, classes, 60, 0.95, torch.Generator().manual_seed(1))
    for kind, members in enumerate(classes):
        assert ((share[:, kind] - exact[:, members].mean(1)).abs() <= 2 * half_width[:, kind]).all()


def test_groups_hold_every_path_once():
    names = path_names(induction_network())
    groups = path_effects.groups_of(names)
    assert list(groups) == ["direct", "layer_1", "layer_0", "virtual"]
    assert sorted(torch.cat(list(groups.values())).tolist()) == list(range(N_PATHS))
    assert {names[path] for path in groups["virtual"]} == {(f"0.{a}", f"1.{b}") for a in (0, 1) for b in (0, 1)}
    assert {names[path] for path in groups["layer_1"]} == {("direct", "1.0"), ("direct", "1.1")}


def test_what_groups_add_to_others():
    logits, targets, _ = parts()
    groups = {"direct": torch.tensor([0]), "layer_0": torch.arange(1, 4), "layer_1": torch.arange(4, 9)}
    earned = path_effects.group_shares(path_effects.group_worths(logits, targets, groups))
    for token, target in enumerate(targets.tolist()):
        summed = logits[:, token]
        first = math.log(6) - loss_of(summed[1:4].sum(0), target)
        joined = loss_of(summed[0], target) - loss_of(summed[:4].sum(0), target)
        last = loss_of(summed[:4].sum(0), target) - loss_of(summed.sum(0), target)
        assert earned["first"][1, token].item() == pytest.approx(first)
        assert earned["after_direct"][1, token].item() == pytest.approx(joined)
        assert earned["last"][2, token].item() == pytest.approx(last)
        total = math.log(6) - loss_of(summed.sum(0), target)
        assert earned["share"][:, token].sum().item() == pytest.approx(total)
    assert earned["after_direct"][0].isnan().all()
