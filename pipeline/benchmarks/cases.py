"""What the benchmark times: pairs of ways to the same lists, and the clock and memory around them.

Every function here is called in a process of its own, so that what one leaves behind weighs on no other.
"""

import ctypes
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from einops import rearrange
from torch import Tensor

from pipeline.benchmarks import made_up
from pipeline.benchmarks.peers import faiss_knn, multiply_tiles, threshold_dense, two_passes
from pipeline.benchmarks.training import bare_products, our_steps, usual_loop
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.balance import fast_precision
from pipeline.circuits.vocabulary.full_circuits import full_circuits, readers, responses
from pipeline.circuits.vocabulary.top_pairs import TopPairs, top_pairs
from pipeline.circuits.vocabulary.top_tokens import top_tokens
from pipeline.settings.benchmark import BenchmarkSettings

FAST = fast_precision(torch.device("cpu"))


@dataclass(frozen=True)
class Case:
    """One comparison."""

    what: str  # as the BENCHMARK table names it
    V: int  # tokens
    k: int  # listed at each end


@dataclass(frozen=True)
class Listed:
    """What reading vectors through the vocabulary computed, or a training went through."""

    entries_scored: int


@dataclass(frozen=True)
class Ways:
    """Ways to do one piece of work: ours, by the precision it works in, and those of others, by name."""

    ours: Mapping[str, Callable[[], TopPairs | Listed]]
    peers: Mapping[str, Callable[[], object]]


def ways_of(settings: BenchmarkSettings, case: Case) -> Ways:
    """Make the inputs of a comparison, and what is to be timed on them."""
    torch.set_num_threads(threads_of(settings, case))
    generator = torch.Generator().manual_seed(settings.seed)
    if case.what == "training":
        return _training(settings, generator)
    if case.what in ("notebook_recipe", "units_feed_forward", "units_dimensions"):
        make = {"notebook_recipe": _head, "units_feed_forward": _neurons, "units_dimensions": _dimensions}[case.what]
        return make(settings, case, _one_head(settings, case, generator), generator)
    spectra = {
        "decaying": settings.decay ** (torch.arange(settings.d_head) / 2),
        "isotropic": torch.ones(settings.d_head),
        "power_law": torch.arange(1.0, settings.d_model + 1) ** -settings.exponent,
    }
    mixed = case.what == "power_law"
    spread = settings.norm_spread if mixed else 0.0
    P, Q = made_up.circuit(case.V, settings.d_head, spectra[case.what].double(), spread, mixed, generator)
    factors = P.float(), Q.float()
    peers = {
        "bare_product": partial(multiply_tiles, *factors, settings.tile),
        "two_passes": partial(two_passes, *factors, case.k, compiled=False),
        "compiled": partial(two_passes, *factors, case.k, compiled=True),
        "faiss": partial(faiss_knn, *factors, case.k),
    }
    against_all = (case.V, case.k) == (settings.sizes[-1], settings.pairs[0])
    forced = {"float32": partial(top_pairs, P, Q, case.k, precision=torch.float32)} if against_all else {}
    ours = forced | {_named(FAST): partial(top_pairs, P, Q, case.k)}
    return Ways(ours, {name: peers[name] for name in (settings.peers if against_all else settings.peers[:1])})


def threads_of(settings: BenchmarkSettings, case: Case) -> int:
    """Return the threads of all ways of a comparison."""
    return settings.training.threads if case.what == "training" else settings.threads


def _named(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


def _training(settings: BenchmarkSettings, generator: torch.Generator) -> Ways:
    sizes = settings.training
    precision, steps = our_steps(sizes, generator)

    def ours() -> Listed:
        steps()
        return Listed(sizes.steps * sizes.batch * sizes.n_ctx)

    products = {f"{_named(dtype)}_products": bare_products(sizes, dtype, generator) for dtype in {FAST, torch.float32}}
    return Ways({precision: ours}, products | {"transformers": usual_loop(sizes, generator)})


def _one_head(settings: BenchmarkSettings, case: Case, generator: torch.Generator) -> Weights:
    return made_up.layer(case.V, settings.d_model, 1, settings.d_head, settings.decay, 0, generator)


def _head(settings: BenchmarkSettings, case: Case, weights: Weights, generator: torch.Generator) -> Ways:
    """The notebook's recipe needs a threshold; it is given the one that lists as many pairs as the search."""

    def ours() -> TopPairs:
        return top_pairs(*full_circuits(responses(weights, (0, 0), readers(weights)))["OV"], case.k)

    threshold = float(ours().top.values[-1])
    threshold -= settings.roundoff * abs(threshold)
    dense = weights.W_E, weights.W_V[0, 0], weights.W_O[0, 0], weights.W_U
    return Ways({_named(FAST): ours}, {"dense": partial(threshold_dense, *dense, threshold)})


def _neurons(settings: BenchmarkSettings, case: Case, weights: Weights, generator: torch.Generator) -> Ways:
    """Read neurons through the vocabulary, or only form their products with it."""
    vectors = torch.randn(settings.neurons, settings.d_model, generator=generator)
    everything = torch.ones(case.V, dtype=torch.bool)

    def products() -> Iterator[Tensor]:
        return (part @ weights.W_U for part in vectors.split(settings.portion))

    def ours() -> Listed:
        return Listed(sum(_listed(product, case.k, everything) for product in products()))

    return Ways({"float32": ours}, {"products": lambda: [product.shape for product in products()]})


def _dimensions(settings: BenchmarkSettings, case: Case, weights: Weights, generator: torch.Generator) -> Ways:
    """Read every dimension of a head's four matrices through the vocabulary, or only form their products with it."""
    answers = responses(weights, (0, 0), readers(weights)).values()
    everything = torch.ones(case.V, dtype=torch.bool)

    def ours() -> Listed:
        turned = (rearrange(matrix.formed(), "token unit -> unit token").contiguous() for matrix in answers)
        return Listed(sum(_listed(components, case.k, everything) for components in turned))

    return Ways({"float64": ours}, {"products": lambda: [matrix.formed().shape for matrix in answers]})


def _listed(components: Tensor, k: int, mask: Tensor) -> int:
    """List both ends of every vector; return how many components there were."""
    for _ in top_tokens(components, k, mask):
        pass
    return components.numel()


def times(settings: BenchmarkSettings, case: Case) -> list[dict[str, object]]:
    """Time all ways in turn, after one unmeasured call of each; medians and ranges, in seconds, of each two of them."""
    ways = ways_of(settings, case)
    every = {**ways.peers, **ways.ours}
    scored = {name: way() for name, way in every.items()}
    taken = {name: [] for name in every}
    for _ in range(settings.repeats):
        for name, way in every.items():
            taken[name].append(_seconds(way))
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return [
        {
            "precision": precision,
            "baseline": peer,
            "seconds": median[precision],
            "lo": min(taken[precision]),
            "hi": max(taken[precision]),
            "baseline_seconds": median[peer],
            "baseline_lo": min(taken[peer]),
            "baseline_hi": max(taken[peer]),
            "ratio": median[precision] / median[peer],
            "entries_scored": float(scored[precision].entries_scored),
        }
        for precision in ways.ours
        for peer in ways.peers
    ]


def peak(settings: BenchmarkSettings, case: Case, name: str) -> int:
    """Return the bytes that one call of one way adds to what its inputs take, at most."""
    ways = ways_of(settings, case)
    return _peak_of({**ways.peers, **ways.ours}[name])


def atlas_layer(settings: BenchmarkSettings, decay: float, layer: int) -> dict[str, int | float | str]:
    """List both ends of both circuits of every head of one layer; its weights are made beforehand."""
    torch.set_num_threads(settings.threads)
    generator = torch.Generator().manual_seed(settings.seed)
    sizes = settings.sizes[-1], settings.d_model, settings.n_heads, settings.d_head
    weights = made_up.layer(*sizes, decay, layer, generator)
    taken: dict[str, int | float] = {"entries_scored": 0}

    def search() -> None:
        rows = readers(weights)
        for head in range(settings.n_heads):
            for P, Q in full_circuits(responses(weights, (0, head), rows)).values():
                taken["entries_scored"] += top_pairs(P, Q, settings.pairs[0]).entries_scored

    def timed() -> None:
        taken["seconds"] = _seconds(search)

    taken["peak_bytes"] = _peak_of(timed)
    return taken | {"precision": _named(FAST)}


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _peak_of(work: Callable[[], object]) -> int:
    """The kernel's own count of resident memory, its maximum reset before the work; Linux only."""
    ctypes.CDLL(None).malloc_trim(0)  # what is free but not given back would hide as much of the work's
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    work()
    return max(0, _resident("VmHWM") - before)


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
