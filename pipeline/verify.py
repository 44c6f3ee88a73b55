"""Hold what the other stages rest on against what it must equal, and stop the run where it does not.

If a check fails, the table is failed_checks instead, and the run stops.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.causes.paths import adds_up, order_losses, path_outputs
from pipeline.circuits.definitions.registry import HEADS
from pipeline.circuits.gates import disagreement
from pipeline.circuits.gates.gauge import regauged
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.terms.walk import of_tokens, walk
from pipeline.circuits.transformer.attention import causal_mask, pattern
from pipeline.circuits.transformer.forward import forward, unembed
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.frames.tensors import sequences_of
from pipeline.frames.weights import weights_in
from pipeline.models.own_forward import OwnForward, own_forward
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.verify import Tolerance, VerifySettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.verify import CHECKS

Check = tuple[str, str, int | None]  # check, quantity, layer
DEPENDENT = {"_".join(entry.name) for entry in HEADS if not entry.gauge_invariant}


def run(settings: VerifySettings, inputs: Paths, outputs: Paths) -> None:
    """Check everything, then write or refuse."""
    torch.set_num_threads(settings.threads)
    weights, sequences = weights_in(read_parts(WEIGHTS, inputs)), read(SEQUENCES, inputs)
    tokens = sequences_of(sequences, "text")[: settings.sentences]
    own = own_forward(inputs.file("config.json").parent)
    worst: dict[Check, Tensor] = {}
    for part in tqdm(tokens.split(settings.batch), desc="sequences"):
        theirs = own(part)
        for check, error in [*against_own(settings, weights, part, theirs), *along_paths(weights, part, theirs)]:
            worst[check] = torch.maximum(worst.get(check, error), error)
    for check, error in of_layers(settings, weights, tokens[:1]):
        worst[check] = error
    judged(rows(worst, settings.tolerance), outputs)


def against_own(
    settings: VerifySettings, weights: Weights, tokens: Tensor, own: OwnForward
) -> Iterator[tuple[Check, Tensor]]:
    """Yield the errors of the terms' sums, their patterns and the rebuilt logits."""
    visible = causal_mask(tokens.shape[1]) if weights.attends == "back" else torch.ones(()).bool()
    for number, layer in enumerate(walk(weights, tokens, settings.batch, settings.apart)):
        summed = disagreement.sum_of_terms(layer.queries_keys())
        yield ("terms", "scores", number), disagreement.worst(summed * visible, own.scores[:, number] * visible)
        yield (
            ("pattern", "pattern", number),
            disagreement.worst(pattern(summed, weights.attends), own.pattern[:, number]),
        )
    b_U = None if weights.b_U is None else weights.b_U.double()
    logits = unembed(replace(layer.weights, W_U=weights.W_U.double(), b_U=b_U), layer.after)
    yield ("logits", "logits", None), (logits - own.logits).abs().max()


def along_paths(weights: Weights, tokens: Tensor, own: OwnForward) -> Iterator[tuple[Check, Tensor]]:
    """Yield the errors of the paths' summed logits, and of the loss of all orders, where paths add up."""
    if not adds_up(weights):
        return
    weights = weights.double()
    trace = forward(weights, tokens)
    if weights.n_layers <= 2:  # there are (1 + n_heads) ^ n_layers of them
        logits = path_outputs(weights, trace).sum(1) @ weights.W_U
        yield ("paths", "logits", None), (logits - own.logits).abs().max()
    losses = order_losses(weights, trace)[-1]
    yield ("orders", "loss", None), disagreement.difference(losses, token_losses(own.logits, tokens)).max()


def of_layers(settings: VerifySettings, weights: Weights, tokens: Tensor) -> Iterator[tuple[Check, Tensor]]:
    """Yield the errors of factored scores, and of each head against itself with maps within it."""
    generator = torch.Generator().manual_seed(settings.seed)
    small = of_tokens(weights, spread(weights.d_vocab, settings.dense_tokens))
    b_U = None if small.b_U is None else small.b_U.double()
    layers = walk(weights, tokens, settings.batch, settings.apart)
    before = None
    for number, layer in enumerate(tqdm(layers, desc="layers", total=weights.n_layers)):
        alone = replace(layer.weights, W_E=small.W_E.double(), W_U=small.W_U.double(), b_U=b_U)
        mapped = regauged(alone, generator)
        for name, error in disagreement.factored_errors(gains_folded(alone), 0).items():
            yield ("factored", name, number), error
        sides = layer.queries_keys(), replace(layer, weights=mapped).queries_keys()
        errors = disagreement.gauge_errors(alone, mapped, layer.before, sides)
        if before is not None:
            errors |= disagreement.composition_errors([before[0], alone], [before[1], mapped])
        for name, error in errors.items():
            if name not in DEPENDENT:
                yield ("gauge", name, number), error
        before = (alone, mapped)


def rows(worst: dict[Check, Tensor], tolerance: Tolerance) -> pd.DataFrame:
    """Return a row a check, quantity, layer and head."""
    errors = [
        {"check": check, "quantity": quantity, "layer": layer, "head": head, "max_abs_error": value}
        for (check, quantity, layer), error in worst.items()
        for head, value in ([(None, float(error))] if layer is None else enumerate(error.tolist()))
    ]
    checks = pd.DataFrame(errors).astype({"layer": "Int64", "head": "Int64"})
    checks["tolerance"] = checks["check"].map(tolerance.model_dump())
    return checks.assign(passed=checks["max_abs_error"] <= checks["tolerance"])


def judged(checks: pd.DataFrame, outputs: Paths) -> None:
    """Write the table, under its name only if every check has passed.

    Raises:
        ValueError: one has not.
    """
    target = outputs.file("checks.parquet")
    failed_file: Path = target.with_name("failed_checks.parquet")  # no output, so that the engine leaves it there
    failed_file.unlink(missing_ok=True)
    if checks["passed"].all():
        write(CHECKS, checks, outputs)
        return
    write(replace(CHECKS, name="failed_checks"), checks, Paths([failed_file], outputs.provenance))
    failed = checks[~checks["passed"]]
    first = failed.iloc[0]
    where = "" if pd.isna(first["layer"]) else f" of head {first['layer']}.{first['head']}"
    raise ValueError(
        f"check {first['check']}{where}: largest error of {first['quantity']} {first['max_abs_error']:.3g}, tolerance "
        f"{first['tolerance']:.3g} ({len(failed)} of {len(checks)} checks failed: {failed_file}); delete the extracted "
        f"weights and run again, or raise verify.tolerance.{first['check']} if the model's numbers are large"
    )


if __name__ == "__main__":
    main(VerifySettings, run)
