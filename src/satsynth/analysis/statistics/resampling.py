"""Intervals of statistics of images that come in scenes: images of one scene are alike, so scenes are resampled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1000
MOST_DRAWN = 10**7
# Sums of counts and numbers of images, each with a leading axis of resamples, to a statistic.
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def scene_numbers(scenes: Sequence[str] | None, images: int) -> np.ndarray:
    """Return the number of each image's scene ``(N,)``, from 0; without scenes each image is one of its own."""
    if scenes is None:
        return np.arange(images)
    order = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.array([order[scene] for scene in scenes], dtype=np.int64)


def bootstrap_interval(counts: np.ndarray, scenes: Sequence[str] | None, statistic: Statistic) -> np.ndarray:
    """Return a statistic of summed counts and a 95 % percentile interval from 1,000 resamples of the scenes.

    Valid for means and ratios of means. Not valid for distances between sets of features: a scene that is drawn twice
    holds images at distance zero.

    Args:
        counts: ``(N, ...)`` integer counts of each image.
        scenes: The scene of each image; without, each image is one of its own.
        statistic: Maps sums ``(M, ...)`` and numbers of images ``(M,)`` to ``(M, ...)``; NaN where there is nothing to
            measure, which the interval leaves out.

    Returns:
        ``(3, ...)``: value, low and high; low and high are NaN for fewer than two scenes.
    """
    numbers = scene_numbers(scenes, len(counts))
    images = np.bincount(numbers)
    sums = np.zeros((len(images), *counts.shape[1:]), np.int64)
    np.add.at(sums, numbers, counts)
    value = statistic(sums.sum(0)[None], np.array([images.sum()]))[0]
    if len(images) < 2:
        return np.stack([value, np.full_like(value, np.nan), np.full_like(value, np.nan)])
    # Resampled in parts, so that memory is bounded.
    random, parts = np.random.default_rng(0), []
    at_once = max(1, MOST_DRAWN // len(images))
    for first in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - first)
        drawn = random.multinomial(len(images), np.full(len(images), 1 / len(images)), size)
        parts.append(statistic(np.tensordot(drawn, sums, 1), drawn @ images))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        low, high = np.nanquantile(np.concatenate(parts), [0.025, 0.975], axis=0)
    return np.stack([value, low, high])


def jackknife_interval(value: float, *without: np.ndarray) -> tuple[float, float]:
    """Return a 95 % interval of a statistic of independent samples, by leaving out one scene at a time.

    The variances of the samples add up; the quantile is Student's t with Satterthwaite's degrees of freedom.

    Args:
        value: The statistic.
        without: For each sample ``(G,)`` values of the statistic without one of its G scenes.

    Returns:
        Low and high; NaN where a sample has fewer than two scenes or one of the values is unknown.

    Source: Efron and Stein, Annals of Statistics 9 (1981); Satterthwaite, 1946.
    """
    # Takes a second to import, which no run should wait for before its first line.
    from scipy import stats

    if any(len(values) < 2 or not np.isfinite(values).all() for values in without):
        return float("nan"), float("nan")
    parts = [(len(v) - 1) / len(v) * ((v - v.mean()) ** 2).sum() for v in without]
    variance = float(sum(parts))
    if variance == 0:
        return value, value
    degrees = variance**2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, without, strict=True))
    half = float(stats.t.ppf(0.975, degrees) * np.sqrt(variance))
    return value - half, value + half
