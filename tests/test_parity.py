"""The same numbers as TransformerLens: pip install -e '.[parity]', then pytest -m parity."""

import pytest
import torch
from einops import einsum
from tiny_checkpoints import D_VOCAB

from pipeline.circuits.definitions.measure_heads import circuit_scores
from pipeline.circuits.scores import head_patterns, induction
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import eigenvalue
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded, ov_circuit
from pipeline.models.families import to_weights

pytestmark = pytest.mark.parity

LENGTH = 20
EXACT = {"atol": 1e-5, "rtol": 0}
GENERATOR = torch.Generator().manual_seed(3)
# [BEGIN], then five tokens over and over, and one sentence of tokens that meet by luck.
REPEATED = torch.cat(
    [torch.zeros(1, dtype=torch.long), torch.randperm(D_VOCAB - 1, generator=GENERATOR)[:5].repeat(4) + 1]
)
TOKENS = torch.stack([REPEATED[:LENGTH], torch.randint(1, D_VOCAB, (LENGTH,), generator=GENERATOR)])
TOKENS[:, 0] = 0


def theirs(state, **shape):
    """TransformerLens' model with these parameters, in float64, as they are."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    config = HookedTransformerConfig(d_vocab=D_VOCAB, dtype=torch.float64, device="cpu", **shape)
    model = HookedTransformer(config, move_to_device=False)
    model.load_state_dict({name: value.double() for name, value in state.items()}, strict=False)
    return model


def toy():
    """The shape this project trains: positions join queries and keys alone; no norms, no biases."""
    random = lambda *shape: torch.randn(shape, generator=GENERATOR, dtype=torch.float64) / 3  # noqa: E731
    heads = {name: random(2, 4, 16, 4) for name in ("W_Q", "W_K", "W_V")} | {"W_O": random(2, 4, 4, 16)}
    rest = {"W_E": random(D_VOCAB, 16), "W_pos": random(24, 16), "W_U": random(16, D_VOCAB)}
    state = {"embed.W_E": rest["W_E"], "pos_embed.W_pos": rest["W_pos"], "unembed.W_U": rest["W_U"]}
    state |= {f"blocks.{layer}.attn.{name}": heads[name][layer] for layer in range(2) for name in heads}
    shape = {"n_layers": 2, "d_model": 16, "n_heads": 4, "d_head": 4, "n_ctx": 24}
    options = {"attn_only": True, "normalization_type": None, "positional_embedding_type": "shortformer"}
    return Weights("queries_and_keys", **rest, **heads), theirs(state, **shape, **options)


def gpt2():
    """A checkpoint of GPT-2's family: norms, biases, feed-forward parts."""
    from tiny_checkpoints import model_of
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

    model = model_of("gpt2")
    config, parameters = model.config, model.state_dict()
    shape = {"n_layers": 3, "d_model": 24, "n_heads": 4, "d_head": 6, "n_ctx": 32}
    library = theirs({}, **shape, act_fn="gelu_new", normalization_type="LN")
    with torch.no_grad():
        state = convert_gpt2_weights(model, library.cfg)
    library.load_state_dict({name: value.double() for name, value in state.items()}, strict=False)
    return to_weights(config.to_dict(), parameters.__getitem__).double(), library


@pytest.fixture(scope="module", params=[toy, gpt2], ids=lambda made: made.__name__)
def both(request):
    with torch.no_grad():
        yield request.param()


def test_attention_patterns_and_logits(both):
    ours, library = both
    trace = forward(ours, TOKENS)
    logits, cache = library.run_with_cache(TOKENS)
    for layer in range(ours.n_layers):
        torch.testing.assert_close(trace.pattern[:, layer], cache["pattern", layer], **EXACT)
    torch.testing.assert_close(trace.logits, logits, **EXACT)


def test_direct_logit_attribution(both):
    ours, library = both
    parts = Held.of(ours, forward(ours, TOKENS)).logit_parts(7, 2)
    _, cache = library.run_with_cache(TOKENS)
    cache.compute_head_results()
    written, names = cache.stack_head_results(layer=-1, return_labels=True)
    biases = einsum(library.b_V, library.W_O, "layer head d_head, layer head d_head d_model -> layer head d_model")
    written = written - biases.flatten(0, 1)[:, None, None]  # a constant, which we count among biases
    if library.cfg.normalization_type is not None:
        written = cache.apply_ln_to_stack(written, layer=-1) * library.ln_final.w
    expected = written @ (library.W_U[:, 7] - library.W_U[:, 2])
    assert names == [f"L{layer}H{head}" for layer in range(ours.n_layers) for head in range(ours.n_heads)]
    heads = [part for part in parts if part.kind == "head"]
    torch.testing.assert_close(torch.stack([parts[part] for part in heads]), expected, **EXACT)


ROLES = {
    "previous_token_head": head_patterns.previous_token,
    "duplicate_token_head": head_patterns.duplicate_token,
    "induction_head": lambda tokens: induction.targets(tokens, first=0),
}


@pytest.mark.parametrize("name", ROLES)
def test_masks_of_the_head_detector(name):
    from transformer_lens import head_detector

    expected = [getattr(head_detector, f"get_{name}_detection_pattern")(tokens[None]) for tokens in TOKENS]
    assert torch.equal(ROLES[name](TOKENS).float(), torch.stack(expected))


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.parametrize("sentence", range(len(TOKENS)))
def test_scores_of_the_head_detector(both, name, sentence):
    from transformer_lens.head_detector import detect_head

    ours, library = both
    tokens = TOKENS[sentence : sentence + 1]
    library.to_tokens = lambda text: tokens  # there is no tokenizer
    role, pattern = ROLES[name](tokens), forward(ours, tokens).pattern
    multiplied = head_patterns.score(pattern, head_patterns.detector_mul(role))
    torch.testing.assert_close(multiplied, detect_head(library, "", name, error_measure="mul"), **EXACT)
    # The library rounds the distance to three decimals.
    distance = 1 - head_patterns.score(pattern, head_patterns.detector_abs(role))
    torch.testing.assert_close(
        1 - distance.round(decimals=3), detect_head(library, "", name, error_measure="abs"), **EXACT
    )


@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_composition_scores(both, kind):
    ours, library = both
    expected = library.all_composition_scores(kind)
    for source in range(ours.n_layers):
        for reader in range(source + 1, ours.n_layers):
            torch.testing.assert_close(composition(ours, source, reader)[kind], expected[source, :, reader], **EXACT)


def in_order(z):
    """Complex numbers by real part, then by imaginary part."""
    return torch.tensor(sorted(z.tolist(), key=lambda one: (round(one.real, 6), one.imag)))


def test_eigenvalues_and_copying_scores(both):
    ours, library = both
    whole = (library.W_E @ library.OV @ library.W_U).eigenvalues
    stream = library.OV.eigenvalues
    for layer in range(ours.n_layers):
        scores = circuit_scores(ours, layer, torch.arange(D_VOCAB), D_VOCAB)
        for name, z in (("eigenvalue", whole[layer]), ("eigenvalue_stream", stream[layer])):
            torch.testing.assert_close(scores["copying", name].value, z.sum(-1).real / z.abs().sum(-1), **EXACT)
        for head in range(ours.n_heads):
            rows, columns = ov_circuit(ours, (layer, head))
            ours_of_head = torch.linalg.eigvals(columns.mT @ rows)
            torch.testing.assert_close(in_order(ours_of_head), in_order(whole[layer, head]), **EXACT)


@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_composition_through_norms_that_are_folded_in(kind):
    with torch.no_grad():
        ours, library = gpt2()
        library.load_and_process_state_dict(library.state_dict(), center_writing_weights=False, center_unembed=False)
        folded = gains_folded(ours, "folded_centred")
        expected = library.all_composition_scores(kind)
        torch.testing.assert_close(composition(folded, 0, 2)[kind], expected[0, :, 2], **EXACT)
        z = library.OV.eigenvalues[1]
        stream = [eigenvalue(Grams.of(W_V, W_O.mT)) for W_V, W_O in zip(folded.W_V[1], folded.W_O[1], strict=True)]
        torch.testing.assert_close(torch.stack(stream), z.sum(-1).real / z.abs().sum(-1), **EXACT)
