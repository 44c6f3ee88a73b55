"""Every family, rebuilt from its extracted weights, against the library's own model."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB

from pipeline.circuits.terms.sources import streams, terms
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.forward import forward
from pipeline.models.families import to_weights
from pipeline.models.own_forward import own_forward

TOKENS = torch.randint(D_VOCAB, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def extracted(save):
    """Save a model; return its folder, itself, and its weights as read from the folder."""

    def extract(name, **options):
        folder, model = save(name, **options)
        return folder, model, to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__)

    return extract


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_rebuilt_model_is_the_librarys(name, extracted):
    _, model, weights = extracted(name)
    with torch.no_grad():
        own = model(TOKENS, output_attentions=True, output_hidden_states=True)
    trace = forward(weights, TOKENS)
    torch.testing.assert_close(trace.logits, own.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(trace.pattern, torch.stack(own.attentions, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trace.resid[:, :3], torch.stack(own.hidden_states[:3], 1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_terms_sum_to_the_scores_of_the_librarys_own_model(name, extracted):
    folder, _, weights = extracted(name)
    own = own_forward(folder)(TOKENS)
    for number, layer in enumerate(walk(weights, TOKENS, len(TOKENS), weights.n_layers)):
        sources = layer.queries_keys()
        for split in (sources, streams(sources)):
            total = sum(term for _, _, term in terms(split))
            torch.testing.assert_close(total, own.scores[:, number], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(forward(weights.double(), TOKENS).logits, own.logits, atol=1e-4, rtol=1e-4)


def test_scores_of_the_librarys_model_make_its_pattern(save):
    folder, _ = save("llama")
    own = own_forward(folder)(TOKENS)
    later = torch.ones(12, 12, dtype=torch.bool).triu(1)
    torch.testing.assert_close(own.scores.masked_fill(later, -torch.inf).softmax(-1), own.pattern)


def test_a_window_shorter_than_the_sequence_is_refused(extracted):
    _, _, weights = extracted("mistral")
    with pytest.raises(ValueError, match=r"the model's heads see only 12 back; set model\.n_ctx=12"):
        forward(weights, torch.zeros(1, 13, dtype=torch.long))


def test_positions_of_no_known_kind_are_refused(extracted):
    yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 16}
    with pytest.raises(ValueError, match="'yarn' are not known; known: default, linear, llama3"):
        extracted("llama", shape={"rope_parameters": yarn})
