"""A transformer's parameters under the field's names, whatever family they came from."""

from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

Head = tuple[int, int]  # layer, head
Heads = tuple[Head, ...]  # a set of them
# How names of parameters begin that each layer has its own of.
OF_A_LAYER = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O", "ln1_", "ln2_", "ff_")


@dataclass(frozen=True)
class Weights:
    """All that is needed to compute a transformer, one tensor per name.

    Residual-stream vectors are rows: weights multiply them from the right. What a family does not
    have is None. Biases, norms and feed-forward parts exist in every layer or in none. Where circuits are read,
    rows of W_E may be other items than tokens (see vocabulary.lens), and not as many as columns of W_U.
    """

    positions: str  # "queries_and_keys" (shortformer: W_pos joins the input of Q and K in every layer),
    # "residual" (W_pos is added to the embedding once), "rotary" (queries and keys are turned), "none"
    W_E: Float[Tensor, "d_vocab d_model"]
    W_U: Float[Tensor, "d_model d_vocab_out"]
    W_Q: Float[Tensor, "layer head d_model d_head"]
    W_K: Float[Tensor, "layer head d_model d_head"]  # heads that share keys and values each have their own copy
    W_V: Float[Tensor, "layer head d_model d_head"]
    W_O: Float[Tensor, "layer head d_head d_model"]
    W_pos: Float[Tensor, "n_ctx d_model"] | None = None
    rotary_frequency: Float[Tensor, " pair"] | None = None  # radians a position, of a head's first 2 * pair components
    b_E: Float[Tensor, " d_model"] | None = None  # added to every embedding
    b_Q: Float[Tensor, "layer head d_head"] | None = None
    b_K: Float[Tensor, "layer head d_head"] | None = None
    b_V: Float[Tensor, "layer head d_head"] | None = None
    b_O: Float[Tensor, "layer d_model"] | None = None
    b_U: Float[Tensor, " d_vocab_out"] | None = None
    ln_embed_gain: Float[Tensor, " d_model"] | None = None  # norm of the embedding
    ln_embed_bias: Float[Tensor, " d_model"] | None = None
    ln1_gain: Float[Tensor, "layer d_model"] | None = None  # norm before attention (after it, see norm_place)
    ln1_bias: Float[Tensor, "layer d_model"] | None = None
    ln2_gain: Float[Tensor, "layer d_model"] | None = None  # norm before the feed-forward part (or after)
    ln2_bias: Float[Tensor, "layer d_model"] | None = None
    ln1_post_gain: Float[Tensor, "layer d_model"] | None = None  # norm of what attention writes, before it joins
    ln2_post_gain: Float[Tensor, "layer d_model"] | None = None  # norm of what the feed-forward part writes, likewise
    ln_final_gain: Float[Tensor, " d_model"] | None = None  # norm before the unembedding
    ln_final_bias: Float[Tensor, " d_model"] | None = None
    ff_keys: Float[Tensor, "layer d_ff d_model"] | None = None  # a neuron's input direction
    ff_key_bias: Float[Tensor, "layer d_ff"] | None = None
    ff_gates: Float[Tensor, "layer d_ff d_model"] | None = None  # activation(gate) multiplies the neuron's input
    ff_gate_bias: Float[Tensor, "layer d_ff"] | None = None
    ff_values: Float[Tensor, "layer d_ff d_model"] | None = None  # a neuron's output direction
    ff_value_bias: Float[Tensor, "layer d_model"] | None = None
    W_head: Float[Tensor, "d_model d_model"] | None = None  # with the activation, what stands before the last norm
    b_head: Float[Tensor, " d_model"] | None = None
    activation: str | None = None  # of the feed-forward neurons: see layers.ACTIVATIONS
    attends: str = "back"  # "back": a query sees no later key; "both_ways": it sees all
    window: int | None = None  # keys a query sees at most, itself among them; None for all
    norm: str = "layer"  # "layer" (centred), or "rms" (not)
    norm_place: str = "before"  # "before" each part that reads the stream, or "after" it, on the stream itself
    residual: str = "sequential"  # or "parallel": the feed-forward part reads what attention reads
    rotary_pairs: str = "halves"  # components turned together: i and i + pair, or "neighbours": 2 i and 2 i + 1
    ln_eps: float = 1e-5
    gain_from: float = 0.0  # added to every norm's gain: 1 where a gain of 0 changes nothing
    query_scale: float = 1.0  # what queries are multiplied by, besides 1/sqrt(d_head)
    score_cap: float | None = None  # softmax reads cap * tanh(scores / cap)
    logit_cap: float | None = None  # and logits are as much of what the unembedding says
    embed_scale: float = 1.0  # what embeddings are multiplied by where the stream begins

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

    def parameter(self, name: str) -> Tensor:
        """Return a parameter that only some families have, where the caller knows that this one does.

        Raises:
            ValueError: it does not.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"the model has no {name}, which its other parts call for; extract its weights again")
        return value

    def one_layer(self, layer: int) -> "Weights":
        """Return one layer as a model of its own; the large matrices are shared, not copied."""
        own = {
            name: value[layer : layer + 1]
            for name, value in vars(self).items()
            if name.startswith(OF_A_LAYER) and isinstance(value, Tensor)
        }
        return replace(self, **own)

    def of_tokens(self, ids: Int[Tensor, " token"]) -> "Weights":
        """Return the model over some tokens of its vocabulary alone."""
        b_U = None if self.b_U is None else self.b_U[ids]
        return replace(self, W_E=self.W_E[ids], W_U=self.W_U[:, ids], b_U=b_U)

    def double(self) -> "Weights":
        """Return the same parameters in float64."""
        tensors = {name: value.double() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)
