"""What a model would predict if it ended after fewer layers: last norm and unembedding, of an earlier stream."""

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.transformer.forward import Trace, unembed
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
    coming, logits = trace.tokens[sentence, 1:], trace.logits[sentence, :-1].double()
    whole, likeliest = logits.log_softmax(-1), logits.argmax(-1)
    probability = whole.exp()
    entropy = -(probability * whole).sum(-1)
    depths = []
    for stream in trace.resid[sentence, :, :-1]:
        lens = unembed(weights, stream).double()
        scale = lens.logsumexp(-1)  # one pass over the vocabulary serves loss and divergence
        loss = scale - lens.gather(-1, coming[:, None]).squeeze(-1)
        divergence = scale - (probability * lens).sum(-1) - entropy
        agreement = (lens.argmax(-1) == likeliest).double()
        depths.append(torch.stack([loss, divergence, agreement]))
    return functional.pad(torch.stack(depths, 1), (1, 0), value=torch.nan).clamp(min=0)  # below it is only rounding
