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


def exported(folder, to):
    """The toy as a folder, exported."""
    import json

    from safetensors.torch import save_file

    from pipeline.ask.export import export
    from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig

    shape = {"n_layers": 2, "n_heads": 4, "d_model": 16, "n_ctx": 24, "d_vocab": D_VOCAB}
    config = {"model_type": "attention_only", "positions": "queries_and_keys", "tied": False, **shape}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(config))
    state = {name: torch.randn(x.shape, generator=GENERATOR) / 3 for name, x in model.state_dict().items()}
    model.load_state_dict(state)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"step": None}))
    export(str(folder), to, folder / "out", None)
    return model, folder / "out"


def test_the_exported_toy_has_the_librarys_hooks_and_our_logits(tmp_path):
    import runpy

    model, folder = exported(tmp_path, "transformer_lens")
    hooked = runpy.run_path(str(folder / "hooked_toy.py"))["load"](folder)
    with torch.no_grad():
        logits, cache = hooked.run_with_cache(TOKENS)
        expected = model.trace(TOKENS)
        silenced = hooked.run_with_hooks(TOKENS, fwd_hooks=[("blocks.1.attn.hook_z", lambda z, hook: 0 * z)])
        first = cache["blocks.1.hook_resid_pre"] @ hooked.unembed.W_U
    torch.testing.assert_close(logits, expected.logits, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(silenced, first)
    for layer in range(2):
        torch.testing.assert_close(cache[f"blocks.{layer}.attn.hook_pattern"], expected.pattern[:, layer])
        q, k = (cache[f"blocks.{layer}.attn.hook_{name}"] for name in "qk")
        seen = expected.scores[:, layer].tril()
        torch.testing.assert_close(einsum(q, k, "b q h d, b k h d -> b h q k").tril() / 2, seen, atol=1e-4, rtol=1e-5)


def test_the_exported_parameters_are_the_librarys(tmp_path):
    from safetensors.torch import load_file

    model, folder = exported(tmp_path, "transformer_lens")
    shape = {"n_layers": 2, "d_model": 16, "n_heads": 4, "d_head": 4, "n_ctx": 24}
    options = {"attn_only": True, "normalization_type": None, "positional_embedding_type": "shortformer"}
    library = theirs(load_file(folder / "model.safetensors"), **shape, **options)
    with torch.no_grad():
        torch.testing.assert_close(library(TOKENS), model.trace(TOKENS, torch.float64).logits, **EXACT)


def test_circuitsvis_takes_what_is_exported(tmp_path):
    import json

    from circuitsvis.attention import attention_heads

    _, folder = exported(tmp_path, "circuitsvis")
    assert "L1H3" in attention_heads(**json.loads((folder / "attention_heads.json").read_text())).cdn_src
