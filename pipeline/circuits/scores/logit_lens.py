"""What a model would predict if it ended after fewer layers: last norm and unembedding, of an earlier stream."""

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.transformer.forward import Trace, unembed
from pipeline.circuits.transformer.losses import divergences, token_losses
from pipeline.circuits.transformer.weights import Weights

MEASURES = ("loss", "divergence", "agreement")


def logit_lens(weights: Weights, trace: Trace) -> dict[str, Float64[Tensor, "depth batch position"]]:
    """Read the stream before each layer, and at the end, as logits, one sentence and depth at a time.

    Returns:
        Where each token is predicted; NaN at position 0. loss: nats; divergence: KL(model || lens), nats; agreement:
        1 where the likeliest token is the model's, else 0.

    Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
    """
    found = torch.stack([_of_sentence(weights, trace, sentence) for sentence in range(len(trace.tokens))], 2)
    return dict(zip(MEASURES, found, strict=True))


def _of_sentence(weights: Weights, trace: Trace, sentence: int) -> Float64[Tensor, "measure depth position"]:
    tokens, logits = trace.tokens[sentence : sentence + 1], trace.logits[sentence : sentence + 1]
    whole, likeliest = logits.log_softmax(-1, dtype=torch.float64), logits.argmax(-1)
    depths = []
    for stream in trace.resid[sentence].split(1):
        lens = unembed(weights, stream)
        of_places = torch.cat([divergences(whole, lens), (lens.argmax(-1) == likeliest).double()])
        of_tokens = functional.pad(of_places[:, :-1], (1, 0), value=torch.nan)
        depths.append(torch.cat([token_losses(lens, tokens), of_tokens]))
    return torch.stack(depths, 1)
