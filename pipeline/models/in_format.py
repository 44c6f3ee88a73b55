"""Models in the transformers library's formats, trained here: its own code, with first weights of a seed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Generator, Tensor

from pipeline.models.attention_only import Network
from pipeline.models.families.agreement import copies_in

FORMATS = {
    "gpt2": {
        "d_vocab": "vocab_size",
        "n_ctx": "n_positions",
        "d_model": "n_embd",
        "d_ff": "n_inner",
        "n_layers": "n_layer",
        "n_heads": "n_head",
    },
    "llama": {
        "d_vocab": "vocab_size",
        "n_ctx": "max_position_embeddings",
        "d_model": "hidden_size",
        "d_ff": "intermediate_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
    },
}
NOTHING_DROPPED = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # by a GPT-2, whose defaults do


@dataclass(frozen=True)
class FormatConfig:
    """Which model in which format."""

    format: str  # of FORMATS
    n_layers: int
    n_heads: int
    n_kv_heads: int  # n_heads where no heads share keys and values
    d_model: int
    d_ff: int
    n_ctx: int
    d_vocab: int
    tied: bool
    initial_sd: float  # standard deviation of every matrix before training

    @classmethod
    def from_dict(cls, values: dict) -> "FormatConfig":
        """Pick it from settings, which may say more."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


class InFormat(Network):
    """A model of the library."""

    def __init__(self, config: FormatConfig, generator: Generator) -> None:
        """Make it; the generator decides its first weights, by a seed, since the library draws its own numbers."""
        super().__init__()
        # Costs seconds to import, so only where one of its models is made.
        from transformers import AutoConfig, AutoModelForCausalLM

        shape = {theirs: getattr(config, ours) for ours, theirs in FORMATS[config.format].items()}
        made = AutoConfig.for_model(
            config.format,
            **shape,
            **(NOTHING_DROPPED if config.format == "gpt2" else {}),
            tie_word_embeddings=config.tied,
            initializer_range=config.initial_sd,
            bos_token_id=None,
            eos_token_id=None,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.of_library = AutoModelForCausalLM.from_config(made, attn_implementation="eager").eval()

    def unembedding_inputs(
        self, tokens: Int[Tensor, "batch position"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "token d_model"], Float[Tensor, "d_vocab d_model"], Int[Tensor, " token"]]:
        """Return what the losses are made of; `dtype` as torch's autocast has it: norms and softmax in float32."""
        with torch.autocast(tokens.device.type, dtype, enabled=dtype != torch.float32):
            resid = self.of_library.base_model(tokens, use_cache=False).last_hidden_state
        resid = rearrange(resid[:, :-1], "batch position d_model -> (batch position) d_model")
        W_U = self.of_library.get_output_embeddings().weight
        return resid.to(dtype), W_U.to(dtype), tokens[:, 1:].flatten()

    def described(self) -> Mapping[str, object]:
        """Return the library's configuration, every option written out."""
        return self.of_library.config.to_dict() | {"architectures": [type(self.of_library).__name__]}

    def state_dict(self, *args: object, **options: object) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the parameters by the library's names, each once."""
        whole = self.of_library.state_dict(*args, **options)
        return {name: value for name, value in whole.items() if name not in copies_in(self.of_library.config.to_dict())}
