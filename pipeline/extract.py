"""Bring a model's parameters under the field's names, head by head."""

import json

import torch
from safetensors import safe_open

from pipeline.frames.weights import weight_parts
from pipeline.models.families import lazy_weights
from pipeline.plumbing.artefacts import Paths, write_parts
from pipeline.plumbing.stage import main
from pipeline.settings.extract import ExtractSettings
from pipeline.tables.extract import WEIGHTS


def run(settings: ExtractSettings, inputs: Paths, outputs: Paths) -> None:
    """Read the checkpoint tensor by tensor and write the table as it comes, in float32."""
    torch.set_num_threads(settings.threads)
    config = json.loads(inputs.whole("config.json").read_text(encoding="utf-8"))
    with safe_open(inputs.whole("model.safetensors"), framework="pt") as checkpoint:
        weights = lazy_weights(config, lambda name: checkpoint.get_tensor(name).to(torch.float32))
        write_parts(WEIGHTS, weight_parts(weights.each(), weights.settings), outputs)


if __name__ == "__main__":
    main(ExtractSettings, run)
