"""Hold what the other stages rest on against what it must equal, and stop the run where it does not.

If a check fails, the table is failed_checks instead, and the run stops.
"""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.gates.checks import Check, largest, of_layers, on_sequences
from pipeline.frames.tensors import sequences_of
from pipeline.frames.weights import weights_in
from pipeline.models.own_forward import own_forward
from pipeline.plumbing.artefacts import Paths, read, read_parts, write
from pipeline.plumbing.memory import release_freed
from pipeline.plumbing.stage import main
from pipeline.settings.verify import Tolerance, VerifySettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.verify import CHECKS


def run(settings: VerifySettings, inputs: Paths, outputs: Paths) -> None:
    """Check everything, then write or refuse."""
    torch.set_num_threads(settings.threads)
    how: dict[str, Any] = {"at_once": settings.batch, "apart": settings.apart}
    weights, sequences = weights_in(read_parts(WEIGHTS, inputs)), read(SEQUENCES, inputs)
    tokens = sequences_of(sequences, "text")[: settings.sentences]
    (folder,) = {inputs.whole(name).parent for name in ("config.json", "model.safetensors")}
    parts = tokens.split(settings.batch)
    said = list(map(own_forward(folder), tqdm(parts, desc="own forward pass")))
    release_freed()  # of the library's model, which no one holds any more
    both = tqdm(zip(parts, said, strict=True), desc="sequences", total=len(parts))
    on_text = (error for part, of_own in both for error in on_sequences(weights, part, **vars(of_own), **how))
    generator = torch.Generator().manual_seed(settings.seed)
    of_heads = of_layers(weights, tokens[:1], **how, dense_tokens=settings.dense_tokens, generator=generator)
    worst = largest(chain(on_text, tqdm(of_heads, desc="scores")))
    judged(rows(worst, settings.tolerance), outputs)


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
