"""Bring a model's parameters under the field's names, head by head.

Reads   config.json, model.safetensors
Writes  weights
"""

import json

import torch
from safetensors import safe_open

from pipeline.models.families import parts
from pipeline.models.weights_table import weight_parts
from pipeline.plumbing.artefacts import Paths, write_parts
from pipeline.plumbing.stage import main
from pipeline.settings.extract import ExtractSettings
from pipeline.tables.extract import WEIGHTS


def run(settings: ExtractSettings, inputs: Paths, outputs: Paths) -> None:
    """Read the checkpoint tensor by tensor and write the table as it comes, in float32."""
    torch.set_num_threads(settings.threads)
    config = json.loads(inputs.file("config.json").read_text(encoding="utf-8"))
    with safe_open(inputs.file("model.safetensors"), framework="pt") as checkpoint:
        parameters = parts(config, lambda name: checkpoint.get_tensor(name).to(torch.float32))
        write_parts(WEIGHTS, weight_parts(parameters.each(), parameters.settings), outputs)


if __name__ == "__main__":
    main(ExtractSettings, run)
