"""How far a score stands out from chance: z and p.

p is one-sided: how probable a value at least as large is by chance. Undefined scores have no p.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from scipy import special
from torch import Tensor

ROUNDING = 1e-9  # scores closer than this are equal: rounding decides no tie


@dataclass(frozen=True)
class Chance:
    """What chance gives beside some scores; NaN where it is undefined."""

    mean: Float64[Tensor, "*heads"]
    sd: Float64[Tensor, "*heads"]
    z: Float64[Tensor, "*heads"]  # (value - mean) / sd
    p: Float[Tensor, "*heads"]  # 0 ... 1
    draws: int | None  # values of chance behind them; None where mean and sd are in closed form


def of_draws(values: Float[Tensor, "*heads"], draws: Float[Tensor, "draw ..."]) -> Chance:
    """Compare with many draws: p is (1 + draws at least as large) / (1 + draws), never 0.

    Exact, whatever the distribution, if value and draws are exchangeable under chance; the least p that n draws
    can give is 1 / (n + 1). The same draws may serve many scores: their p values then depend on each other
    positively, which `false_discovery` withstands.

    Args:
        values: the scores.
        draws: of each score, or of a shape that broadcasts to it; undefined ones do not count.

    Source: Phipson and Smyth 2010, "Permutation P-values should never be zero"; Bates et al. 2023, "Testing for
    outliers with conformal p-values", theorem 2.
    """
    values, draws = values.double(), draws.double()
    defined = ~draws.isnan()
    count = defined.sum(0)
    mean = draws.nanmean(0)
    sd = ((draws - mean).square().nansum(0) / torch.where(count > 1, count - 1, torch.nan)).sqrt()
    reached = (draws >= values - ROUNDING * values.abs().clamp_min(1)).sum(0)
    p = ((1 + reached) / (1 + count)).masked_fill(values.isnan() | (count == 0), torch.nan)
    return _chance(values, mean, sd, p, len(draws))


def of_few(values: Float[Tensor, "*heads"], others: Float[Tensor, "draw ..."]) -> Chance:
    """Compare with a few values of chance, by Student's t: whether one more of them might be as large.

    t = (value - mean) / (sd sqrt(1 + 1/n)) has n - 1 degrees of freedom if chance is normal. The rank among a
    few values could not tell a good head from a perfect one: with n = 8, its p is never below 1/9.

    Args:
        values: the scores.
        others: of each score, or of a shape that broadcasts to it; at least two, or all is undefined.
    """
    values, others = values.double(), others.double()
    n = len(others)
    if n < 2:
        others = torch.full_like(others, torch.nan).expand(2, *others.shape[1:])
    mean, sd = others.mean(0), others.std(0)
    t = (values - mean) / _varying(sd, mean) / (1 + 1 / n) ** 0.5
    return _chance(values, mean, sd, torch.as_tensor(special.stdtr(max(n - 1, 1), -t.numpy())), n)


def of_moments(values: Float[Tensor, "*heads"], mean: Float[Tensor, "..."], sd: Float[Tensor, "..."]) -> Chance:
    """Compare with a mean and a standard deviation known in closed form, by the normal distribution."""
    values, mean, sd = values.double(), mean.double(), sd.double()
    return _chance(values, mean, sd, torch.special.ndtr((mean - values) / _varying(sd, mean)), None)


def of_counts(values: Float[Tensor, "*heads"], at_least: Float64[Tensor, "*heads count"], total: int) -> Chance:
    """Compare shares of a total with the exact distribution of how many they count.

    Args:
        values: in 0 ... 1.
        at_least: how probable a count of k or more is, from k = 0 on; larger counts have the last one's p.
        total: what a share of 1 counts.
    """
    values = values.double()
    k = torch.arange(1, at_least.shape[-1], dtype=torch.float64)
    mean = at_least[..., 1:].sum(-1)
    variance = (at_least[..., 1:] * (2 * k - 1)).sum(-1) - mean**2
    count = (values.nan_to_num() * total).round().long().clamp(max=at_least.shape[-1] - 1)
    p = at_least.gather(-1, count[..., None]).squeeze(-1).where(~values.isnan(), torch.nan)
    return _chance(values, mean / total, variance.clamp(min=0).sqrt() / total, p, None)


def _chance(
    values: Float64[Tensor, "*heads"],
    mean: Float64[Tensor, "..."],
    sd: Float64[Tensor, "..."],
    p: Float[Tensor, "*heads"],
    draws: int | None,
) -> Chance:
    z = (values - mean) / _varying(sd, mean)
    mean, sd = (torch.broadcast_to(moment, values.shape) for moment in (mean, sd))
    return Chance(mean, sd, z, p, draws)


def _varying(sd: Float64[Tensor, "..."], mean: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
    """Return the deviation, NaN where it is no more than rounding: nothing stands out from what does not vary."""
    return sd.where(sd > ROUNDING * mean.abs(), torch.nan)
