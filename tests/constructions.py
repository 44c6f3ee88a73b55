"""Networks wired by hand, small: their construction, their sentences, and their dense matrices."""

import numpy as np
from torch import Generator

from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.models.constructed import constructed

D_VOCAB, D_MODEL = 14, 40
PLAIN = {
    "basis": "one_hot",
    "n_heads": 1,
    "d_model": D_MODEL,
    "n_ctx": 12,
    "d_vocab": D_VOCAB,
    "offset": 1,
    "position_gain": 3.0,
    "match_gain": 4.0,
    "copy_gain": 2.0,
}


def construction(circuit, **changes):
    return Construction(circuit=circuit, **(PLAIN | changes))


def network(construction):
    return constructed(construction, Generator().manual_seed(0)).double()


def repeated(period, repeats):
    """[BEGIN], then the tokens 1 ... period over and over."""
    return [0, *[token + 1 for token in range(period)] * repeats]


def sentences(construction, period=5, count=2):
    return [follow(construction, np.roll(repeated(period, 2), shift).tolist()) for shift in range(count)]


def case(construction, layer, read=None, period=5):
    """A head on two repeats of a block, or on what it `read`; the text is the same."""
    read = [follow(construction, repeated(period, 2))] if read is None else read
    return Case(construction, layer, read, first=1, period=period, text=read)


def dense(construction, layer):
    """W_E (tied), W_V W_O and W_Q W_K^T of head 0, as the network has them."""
    model = network(construction)
    block, W_E = model.blocks[layer], model.token_embedding.weight.detach()
    parts = block.project_qkv.weight.detach().split(construction.d_model)
    W_Q, W_K, W_V = (part[: construction.d_head].mT for part in parts)
    W_O = block.project_output.weight.detach()[:, : construction.d_head].mT
    return W_E, W_V @ W_O, W_Q @ W_K.mT


def scores_of(matrix):
    """The scores of a token-to-token circuit, by definition."""
    eigenvalues = np.linalg.eigvals(matrix)
    others = matrix - 1e9 * np.eye(len(matrix))
    sizes, deviation = np.abs(eigenvalues).sum(), matrix.std()
    return {
        "eigenvalue": eigenvalues.sum().real / sizes if sizes else np.nan,
        "diagonal_z": (np.diag(matrix).mean() - matrix.mean()) / deviation if deviation else np.nan,
        "top1": np.mean(np.diag(matrix) > others.max(1)),
        "top5": np.mean((others >= np.diag(matrix)[:, None]).sum(1) < 5),
        "bottom10": np.mean((others + 2e9 * np.eye(len(matrix)) <= np.diag(matrix)[:, None]).sum(1) < 10),
    }
