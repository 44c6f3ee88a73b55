"""The stages that make a model, from text to weights, run on tiny settings."""

from pipeline import prepare, train
from pipeline.plumbing.artefacts import Paths
from pipeline.settings.prepare import PrepareSettings
from pipeline.settings.train import TrainSettings

RANDOM = {"kind": "repeated_tokens", "documents": 40, "document_tokens": 50, "seed": 0, "heldout_fraction": 0.2}
PREPARED = ("corpus.parquet", "tokens.parquet", "vocabulary.parquet", "tokenizer.json")
TRAINED = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "checkpoints.safetensors",
    "training_curve.parquet",
)
TRAINING = {
    "model": {
        "source": "trained",
        "n_layers": 2,
        "n_heads": 2,
        "d_model": 8,
        "n_ctx": 16,
        "positions": "queries_and_keys",
        "tied": False,
        "embedding_sd": 1.0,
        "position_sd": 1.0,
        "query_key_scale": 0.5,
    },
    "seed": 3,
    "steps": 12,
    "batch": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "decay_share": 0.5,
    "beta1": 0.9,
    "beta2": 0.98,
    "epsilon": 1e-8,
    "weight_decay": 0.0,
    "copies": {"fraction": 0.5, "min_length": 2, "max_length": 5, "heldout_distances": []},
    "first_checkpoint": 2,
    "checkpoints": 4,
    "curve": {"measurements": 3, "sentences": 4, "seed": 1},
    "save_every": 5,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
}
IN_FORMAT = {
    "source": "trained_in_format",
    "format": "llama",
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "d_model": 8,
    "d_ff": 12,
    "n_ctx": 16,
    "tied": True,
    "initial_sd": 0.1,
}
PROBING = {
    "seed": 1,
    "n_ctx": 16,
    "sentences": 5,
    "loss_sentences": 12,
    "loss_copies": 8,
    "repeat_tokens": 4,
    "periods": [4, 7],
    "min_length": 2,
    "max_length": 5,
    "demo": " the cat sat",
    "threads": 1,
}


def made(folder, names):
    return Paths([folder / name for name in names], '{"spec": 1}')


def prepared(folder, data=RANDOM, tokenizer=None, model_path=None, other=()):
    settings = {
        "data": data,
        "tokenizer": tokenizer or {"kind": "none", "d_vocab": 30},
        "other": list(other),
        "model_path": model_path,
        "threads": 1,
    }
    prepare.run(PrepareSettings.parse(settings), Paths([]), made(folder, PREPARED))
    return made(folder, PREPARED)


def prepared_text(folder, other=()):
    """Prepare 300 lines made of a few words, and a tokenizer trained on them."""
    words = ["the cat", " sat on the", " mat and", " a dog sat"]
    lines = [words[place % 4] + words[place % 3] + words[place * 7 % 4] for place in range(300)]
    (folder / "own.txt").write_text("\n".join(lines), encoding="utf-8")
    data = {
        "kind": "text_files",
        "paths": [str(folder / "*.txt")],
        "document_characters": 90,
        "heldout_fraction": 0.3,
    }
    return prepared(folder, data, {"kind": "trained", "d_vocab": 270}, other=other)


def trained(inputs, folder, **changes):
    outputs = made(folder, TRAINED)
    train.run(TrainSettings.parse(TRAINING | changes), inputs, outputs)
    return outputs
