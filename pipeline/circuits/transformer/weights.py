"""A transformer's parameters under the field's names, whatever family they came from."""

from dataclasses import dataclass, replace

from torch import Tensor

Head = tuple[int, int]  # layer, head
# How names of parameters begin that each layer has its own of.
OF_A_LAYER = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O", "ln1_", "ln2_", "ff_")


@dataclass(frozen=True)
class Weights:
    """All that is needed to compute a transformer, one tensor per name.

    Residual-stream vectors are rows: weights multiply them from the right. What a family does not
    have is None. Biases, norms and feed-forward parts exist in every layer or in none.
    """

    positions: str  # "queries_and_keys" (shortformer: W_pos joins the input of Q and K in every layer),
    # "residual" (W_pos is added to the embedding once), "rotary" (queries and keys are turned), "none"
    W_E: Tensor  # [d_vocab, d_model]
    W_U: Tensor  # [d_model, d_vocab]
    W_Q: Tensor  # [layer, head, d_model, d_head]
    W_K: Tensor  # [layer, head, d_model, d_head]; heads that share keys and values each have their own copy
    W_V: Tensor  # [layer, head, d_model, d_head]
    W_O: Tensor  # [layer, head, d_head, d_model]
    W_pos: Tensor | None = None  # [n_ctx, d_model]
    rotary_frequency: Tensor | None = None  # [pair], radians a position, of the first 2 * pair components of a head
    b_E: Tensor | None = None  # [d_model], added to every embedding
    b_Q: Tensor | None = None  # [layer, head, d_head]
    b_K: Tensor | None = None  # [layer, head, d_head]
    b_V: Tensor | None = None  # [layer, head, d_head]
    b_O: Tensor | None = None  # [layer, d_model]
    b_U: Tensor | None = None  # [d_vocab]
    ln_embed_gain: Tensor | None = None  # [d_model], norm of the embedding
    ln_embed_bias: Tensor | None = None  # [d_model]
    ln1_gain: Tensor | None = None  # [layer, d_model], norm before attention (after it, see norm_place)
    ln1_bias: Tensor | None = None  # [layer, d_model]
    ln2_gain: Tensor | None = None  # [layer, d_model], norm before the feed-forward part (or after)
    ln2_bias: Tensor | None = None  # [layer, d_model]
    ln_final_gain: Tensor | None = None  # [d_model], norm before the unembedding
    ln_final_bias: Tensor | None = None  # [d_model]
    ff_keys: Tensor | None = None  # [layer, d_ff, d_model], a neuron's input direction
    ff_key_bias: Tensor | None = None  # [layer, d_ff]
    ff_gates: Tensor | None = None  # [layer, d_ff, d_model]: activation(gate) multiplies the neuron's input
    ff_gate_bias: Tensor | None = None  # [layer, d_ff]
    ff_values: Tensor | None = None  # [layer, d_ff, d_model], a neuron's output direction
    ff_value_bias: Tensor | None = None  # [layer, d_model]
    W_head: Tensor | None = None  # [d_model, d_model], with the activation, what stands before the last norm
    b_head: Tensor | None = None  # [d_model]
    activation: str | None = None  # of the feed-forward neurons: "gelu_new", "gelu", "relu", "silu"
    attends: str = "back"  # "back": a query sees no later key; "both_ways": it sees all
    window: int | None = None  # keys a query sees at most, itself among them; None for all
    norm: str = "layer"  # "layer" (centred), or "rms" (not)
    norm_place: str = "before"  # "before" each part that reads the stream, or "after" it, on the stream itself
    residual: str = "sequential"  # or "parallel": the feed-forward part reads what attention reads
    rotary_pairs: str = "halves"  # components turned together: i and i + pair, or "neighbours": 2 i and 2 i + 1
    ln_eps: float = 1e-5

    @property
    def n_layers(self) -> int:
        """Number of attention layers."""
        return self.W_Q.shape[0]

    @property
    def n_heads(self) -> int:
        """Heads in each layer."""
        return self.W_Q.shape[1]

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.W_E.shape[1]

    @property
    def d_head(self) -> int:
        """Width of a head's queries, keys and values."""
        return self.W_Q.shape[3]

    @property
    def d_vocab(self) -> int:
        """Number of tokens the embedding knows."""
        return self.W_E.shape[0]

    def one_layer(self, layer: int) -> "Weights":
        """Return one layer as a model of its own; the large matrices are shared, not copied."""
        own = {
            name: value[layer : layer + 1]
            for name, value in vars(self).items()
            if name.startswith(OF_A_LAYER) and isinstance(value, Tensor)
        }
        return replace(self, **own)

    def double(self) -> "Weights":
        """Return the same parameters in float64."""
        tensors = {name: value.double() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)
