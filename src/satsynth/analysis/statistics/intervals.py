"""How certain a difference between two arms is: an interval over both seeds and test scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PerClass = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A paired difference and how certain it is.

    Args:
        difference: Mean over seeds of the difference on all scenes.
        low: Lower end; NaN where there is no interval.
        high: Upper end.
        seed_error: Standard error due to the seeds; NaN for one seed.
        scene_error: Standard error due to the scenes; NaN for one scene.
        degrees: Degrees of freedom of the t quantile.
        scenes: Number of scenes with a class to score.
        seeds: Number of paired seeds.
    """

    difference: float
    low: float
    high: float
    seed_error: float
    scene_error: float
    degrees: float
    scenes: int
    seeds: int = 0

    @property
    def half_width(self) -> float:
        """How far it reaches to either side: a smaller difference could not have been told from zero."""
        return (self.high - self.low) / 2

    def expected_half_width(self, seeds: int, confidence: float = 0.95) -> float:
        """Return the half-width to expect with another number of seeds, at least two, which vary as these do.

        The variance between seeds falls with their number; what test scenes add stays.
        """
        if seeds == self.seeds:
            return self.half_width
        whole = (self.half_width / t_quantile(self.degrees, confidence)) ** 2
        now = min(self.seed_error**2, whole)
        seed_part, scene_part = now * self.seeds / seeds, whole - now
        spread = seed_part**2 / (seeds - 1) + (scene_part**2 / (self.scenes - 1) if self.scenes > 1 else 0)
        degrees = (seed_part + scene_part) ** 2 / spread if spread else seeds - 1
        return float(t_quantile(degrees, confidence) * np.sqrt(seed_part + scene_part))


_NAN = float("nan")
UNKNOWN = Interval(_NAN, _NAN, _NAN, _NAN, _NAN, _NAN, scenes=0)


def t_quantile(degrees: float, confidence: float = 0.95) -> float:
    """Return the standard errors by which an interval of Student's t reaches to either side."""
    # Takes a second to import, which no run should wait for before its first line.
    from scipy import stats

    return float(stats.t.ppf((1 + confidence) / 2, degrees))


def least_standard_errors(seeds: int, scenes: int, confidence: float = 0.95) -> float:
    """Return how many standard errors `paired_interval` reaches to either side at least; infinite without an interval.

    Satterthwaite's degrees of freedom are at most the sum of those of seeds and scenes.
    """
    degrees = seeds + scenes - 2
    return t_quantile(degrees, confidence) if degrees > 0 else float("inf")


def paired_interval(base: np.ndarray, other: np.ndarray, per_class: PerClass, confidence: float = 0.95) -> Interval:
    """Return the difference of a mean class score between two arms, with an interval over seeds and test scenes.

    Both seeds and scenes are treated as random samples. The influence of a scene on a seed's difference is its
    jackknife pseudo-value on the summed confusion matrix. The table of seeds by scenes then has a two-way variance:
    that of seeds, plus that of scenes, minus their interaction, which both contain. The quantile is Student's t with
    Satterthwaite's degrees of freedom. With one seed (or one scene) the interval is over scenes (or seeds) only.
    A scene without any of the classes changes the score only through false positives: it adds no degree of freedom, and
    where only one scene has them, the variance between scenes is unknown.

    Args:
        base: ``(S, G, K, K)`` confusion matrices of S seeds on G scenes, rows = target.
        other: The same of the other arm, paired by seed and scene.
        per_class: Maps ``(..., K, K)`` to scores ``(..., K)``, NaN for a class absent from the targets. A class that is
            absent without a scene takes no part in that scene's influence.
        confidence: Coverage of the interval.

    Source: Cameron, Gelbach and Miller, 2011, for the two-way variance; Satterthwaite, 1946; Efron, 1982, for
        pseudo-values.
    """
    seeds, scenes = base.shape[:2]
    totals = np.stack([base, other]).astype(np.float64)
    whole = totals.sum(2)
    change = np.subtract(*per_class(whole)[::-1])
    each = _class_mean(change)
    difference = float(each.mean())
    if np.isnan(difference):
        return UNKNOWN
    scored = int(np.isfinite(per_class(totals[0, 0])).any(-1).sum())
    if scored == 1:
        return _one_way(difference, each, scored, seeds, confidence, over_seeds=True)
    without = np.subtract(*per_class(whole[:, :, None] - totals)[::-1])
    # A class that only this scene has does not show how scenes differ.
    influence = np.nan_to_num(_class_mean(change[:, None] - without))
    pseudo = each[:, None] + (scenes - 1) * influence
    if seeds == 1:
        return _one_way(difference, pseudo[0], scored, seeds, confidence, over_seeds=False)

    rows, columns = pseudo.mean(1, keepdims=True), pseudo.mean(0, keepdims=True)
    squares = {
        "seeds": (scenes * (rows - pseudo.mean()) ** 2).sum() / (seeds - 1),
        "scenes": (seeds * (columns - pseudo.mean()) ** 2).sum() / (scenes - 1),
        "both": ((pseudo - rows - columns + pseudo.mean()) ** 2).sum() / ((seeds - 1) * (scenes - 1)),
    }
    seed_part, scene_part, shared = (squares[name] / (seeds * scenes) for name in ("seeds", "scenes", "both"))
    variance = seed_part + scene_part - shared
    spread = seed_part**2 / (seeds - 1) + scene_part**2 / (scored - 1) + shared**2 / ((seeds - 1) * (scored - 1))
    if variance <= max(seed_part, scene_part):
        # The interaction is an estimate too: a variance below either part would claim too much certainty.
        variance = max(seed_part, scene_part)
        degrees = float(seeds - 1 if seed_part >= scene_part else scored - 1)
    else:
        degrees = float(variance**2 / spread) if spread else float(seeds - 1)
    return _around(difference, variance, degrees, np.sqrt(seed_part), np.sqrt(scene_part), scored, seeds, confidence)


def _class_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)


def _one_way(
    difference: float, values: np.ndarray, scored: int, seeds: int, confidence: float, over_seeds: bool
) -> Interval:
    nan = float("nan")
    if len(values) < 2:
        return Interval(difference, nan, nan, nan, nan, nan, scored, seeds)
    variance = float(values.var(ddof=1) / len(values))
    error = float(np.sqrt(variance))
    seed_error, scene_error = (error, nan) if over_seeds else (nan, error)
    degrees = (len(values) if over_seeds else scored) - 1.0
    return _around(difference, variance, degrees, seed_error, scene_error, scored, seeds, confidence)


def _around(
    difference: float,
    variance: float,
    degrees: float,
    seed_error: float,
    scene_error: float,
    scored: int,
    seeds: int,
    confidence: float,
) -> Interval:
    half = float(t_quantile(degrees, confidence) * np.sqrt(variance))
    low, high = difference - half, difference + half
    return Interval(difference, low, high, float(seed_error), float(scene_error), float(degrees), scored, seeds)
