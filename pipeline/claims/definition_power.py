"""Which definition of a score tells heads that play a role from heads that do not, where that is known beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.circuits.chance import power

DEFINITION = ["metric", "definition", "measured_on"]
ALL = "all"
PLAYS, NOT = 1.0, 0.0
ROUNDING = 3  # digits; areas that differ by less are equal


@dataclass(frozen=True)
class Judging:
    """By what definitions are judged."""

    confidence: float  # of every interval
    level: float  # share of false positives
    power: float  # share of heads that must be found
    near: float  # how near the area under the curve must come to that of all sentences
    prevalence: float  # share of all heads that play a role, where false discoveries are counted
    sizes: Sequence[int]  # how many sentences; the draws of each follow each other


def definition_power(
    heads: pd.DataFrame,
    scores: Mapping[tuple[str, str, str], np.ndarray],
    chance: Mapping[tuple[str, str, str], np.ndarray],
    thresholds: Mapping[tuple[str, str], tuple[float, str]],
    judging: Judging,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Judge every definition on each kind of model, and on all.

    A threshold with a share of false positives is chosen on one half of the models of all kinds, and judged on the
    other, both ways. Look-alikes hold no head that plays a role: theirs are held against those of all other models.

    Args:
        heads: a row a head: model, kind, and a column a metric: PLAYS, NOT, or NaN where that is not known.
        scores: by DEFINITION, [draw, head]; the first draw is of all sentences, the others as `judging.sizes` says.
        chance: the same of heads that were never trained, others than these.
        thresholds: by metric and definition, above which a head is called, and where that is from; without one, it is
            what a share `judging.level` of `chance` lie above.
        judging: by what.
        generator: puts models into halves.

    Returns:
        Rows of DEFINITION_POWER.
    """
    half = halves(heads, generator)
    rows = []
    for key, values in scores.items():
        plays = heads[key[0]].to_numpy(float)
        called = power.crossed_calls(values, plays == NOT, half, judging.level)
        at_level = float(power.threshold_at(values[0, plays == NOT], judging.level))
        by_chance = float(power.threshold_at(chance[key][0], judging.level)), "chance"
        threshold, origin = thresholds.get(key[:2], by_chance)
        above = power.lowest(values[0]) > threshold
        for kind in (ALL, *heads["kind"].unique()):
            of_kind = (heads["kind"] == kind).to_numpy() | (kind == ALL)
            positive, negative = of_kind & (plays == PLAYS), of_kind & (plays == NOT)
            if not positive.any():
                positive = plays == PLAYS
            if not negative.any():
                continue
            groups = Groups(heads["model"].to_numpy(), positive, negative, judging)
            rows.append(
                dict(zip(DEFINITION, key, strict=True))
                | {"kind": kind, "threshold": threshold, "threshold_from": origin, "threshold_at_level": at_level}
                | groups.numbers(values, above, called)
                | ({} if key[2] == "weights" else groups.sentences(values, called))
            )
    integers = dict.fromkeys(("sentences_for_auc", "sentences_for_power"), "Int64")
    return pd.DataFrame(rows).astype(integers)


def curves(heads: pd.DataFrame, scores: Mapping[tuple[str, str, str], np.ndarray], levels: np.ndarray) -> pd.DataFrame:
    """Return DEFINITION_CURVES: of every definition, the power at some shares of false positives, over all models.

    Args:
        heads: as of `definition_power`, as the next.
        scores: [draw, head].
        levels: shares of false positives.
    """
    frames = []
    for key, values in scores.items():
        plays = heads[key[0]].to_numpy(float)
        found = power.curve(values[0, plays == PLAYS], values[0, plays == NOT], levels)
        named = dict(zip(DEFINITION, key, strict=True))
        frames.append(pd.DataFrame({"false_positives": levels, "power": found}).assign(**named))
    return pd.concat(frames)


def halves(heads: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Return which half each head is in, bool [head]: models of each kind are dealt out at random, one by one."""
    models = heads[["model", "kind"]].drop_duplicates().sample(frac=1, random_state=generator)
    dealt = models.groupby("kind").cumcount() % 2 == 0
    return heads["model"].map(dealt.set_axis(models["model"])).to_numpy(bool)


@dataclass(frozen=True)
class Groups:
    """Heads that play a role, and heads that do not."""

    model: np.ndarray  # [head], as the next
    positive: np.ndarray
    negative: np.ndarray
    judging: Judging

    def numbers(self, values: np.ndarray, above: np.ndarray, called: np.ndarray) -> dict[str, float]:
        """Return what one definition is worth.

        Args:
            values: scores, [draw, head].
            above: which heads are above its threshold, [head].
            called: which are called at the level, [draw, head].
        """
        models, judging = self.models, self.judging
        area = float(power.area_under_curve(values[0, self.positive], values[0, self.negative]))
        lo, hi = power.area_interval(area, *models, judging.confidence)
        at_threshold, false = self._share(above, self.positive), self._share(above, self.negative)
        at_level, false_at_level = (self._share(called[0], group) for group in (self.positive, self.negative))
        discoveries = power.false_discovery_rate(at_threshold[0], false[0], judging.prevalence)
        return {
            "auc": area,
            "auc_lo": lo,
            "auc_hi": hi,
            **dict(zip(("power", "power_lo", "power_hi"), at_threshold, strict=True)),
            "false_positives": false[0],
            "false_discoveries": discoveries,
            **dict(zip(("power_at_level", "power_at_level_lo", "power_at_level_hi"), at_level, strict=True)),
            "false_positives_at_level": false_at_level[0],
            "n_positive": int(self.positive.sum()),
            "n_negative": int(self.negative.sum()),
            "n_models": len(np.unique(self.model[self.positive | self.negative])),
        }

    def sentences(self, values: np.ndarray, called: np.ndarray) -> dict[str, int | None]:
        """Return how many sentences a definition needs; arguments as of `numbers`."""
        areas = power.area_under_curve(values[:, self.positive], values[:, self.negative])
        found = called[:, self.positive].mean(-1)
        return {
            "sentences_for_auc": self._enough(np.abs(areas - areas[0]), self.judging.near),
            "sentences_for_power": self._enough(-found, -self.judging.power),
        }

    @property
    def models(self) -> tuple[int, int]:
        """How many models have heads that play the role, and how many such that do not."""
        positive, negative = (len(np.unique(self.model[group])) for group in (self.positive, self.negative))
        return positive, negative

    def _share(self, called: np.ndarray, group: np.ndarray) -> tuple[float, float, float]:
        """Return the share of some heads that are called, and its interval."""
        share = float(called[group].mean())
        return share, *power.share_interval(share, len(np.unique(self.model[group])), self.judging.confidence)

    def _enough(self, of_draws: np.ndarray, most: float) -> int | None:
        """Return how many sentences bring the mean over draws to at most `most`; None if none of the sizes does."""
        sizes = self.judging.sizes
        means = of_draws[1:].reshape(len(sizes), -1).mean(-1)
        return power.enough(sizes, (means <= most).tolist())


def best_ways(rows: pd.DataFrame) -> pd.DataFrame:
    """Return of every definition the row of all models, in the way in which it tells heads apart best; best first.

    The largest area counts; of equal ones the larger least area of any kind of models; of equal ones what is right more
    often as it is used, by power less false positives at its threshold.

    Args:
        rows: DEFINITION_POWER.
    """
    least = rows[rows["kind"] != ALL].groupby(DEFINITION)["auc"].min().rename("least_auc").reset_index()
    ranked = rows[rows["kind"] == ALL].merge(least, on=DEFINITION)
    order = {
        "_auc": ranked["auc"].round(ROUNDING),
        "_least": ranked["least_auc"].round(ROUNDING),
        "_used": ranked["power"] - ranked["false_positives"],
    }
    ranked = ranked.assign(**order).sort_values(["metric", *order], ascending=[True, *[False] * 3], kind="stable")
    return ranked.drop_duplicates(["metric", "definition"]).drop(columns=list(order))
