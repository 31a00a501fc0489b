"""The interval against hand-made tables, and its coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from satsynth.analysis.statistics.intervals import paired_interval

CLASSES = 5


def iou(matrices: np.ndarray) -> np.ndarray:
    hits, targets = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(targets > 0, hits / (targets + matrices.sum(-2) - hits), np.nan)


def drawn(random: np.random.Generator, trials: int, seeds: int, scenes: int) -> np.ndarray:
    """Return confusion matrices ``(trials, 2 arms, seeds, scenes, K, K)`` of a made population.

    Scenes differ in size, classes and difficulty, partly in another way for each arm; trainings differ by seed.
    """

    def normal(scale: float, *shape: int) -> np.ndarray:
        return scale * random.standard_normal((trials, *shape, CLASSES))

    sizes = random.lognormal(0, 0.5, (trials, 1, 1, scenes, 1))
    shares = random.dirichlet([1.5, 1.5, 1, 0.6, 0.4], (trials, 1, 1, scenes))
    logits = np.array([2.0, 1.5, 1.0, 0.5, 0.0])
    logits = logits + np.array([0.0, 0.15])[:, None, None, None]
    logits = logits + normal(0.8, 1, 1, scenes) + normal(0.25, 2, 1, scenes)
    logits = logits + normal(0.12, 2, seeds, 1) + normal(0.2, 2, seeds, scenes)
    right = 1 / (1 + np.exp(-logits))
    pixels = sizes * shares * np.ones_like(right)
    wrong = (pixels * (1 - right))[..., None] * (1 - np.eye(CLASSES)) / (CLASSES - 1)
    return wrong + (pixels * right)[..., None] * np.eye(CLASSES)


@pytest.fixture(scope="module")
def truth() -> float:
    """The difference on endlessly many scenes, mean over many seeds."""
    means = [
        np.subtract(*iou(drawn(np.random.default_rng([9, i]), 1, 40, 500).sum(3))[0, ::-1]).mean() for i in range(20)
    ]
    return float(np.mean(means))


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("scenes", [9, 30])
def test_interval_holds_the_truth(seeds: int, scenes: int, truth: float) -> None:
    held = 0
    for part in range(10):
        for arms in drawn(np.random.default_rng([seeds, scenes, part]), 100, seeds, scenes):
            found = paired_interval(arms[0], arms[1], iou)
            held += found.low <= truth <= found.high
    assert held >= 920, f"{held} of 1000 intervals hold the truth"


def test_equal_arms_have_no_difference() -> None:
    arms = drawn(np.random.default_rng(0), 1, 3, 6)[0]
    found = paired_interval(arms[0], arms[0], iou)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_without_scene_effects_it_is_the_t_interval_over_seeds() -> None:
    random = np.random.default_rng(1)
    # Each scene is the same, so the jackknife sees none of them matter.
    base, other = (np.repeat(random.uniform(1, 9, (4, 1, 3, 3)), 7, axis=1) for _ in range(2))
    found = paired_interval(base, other, iou)
    each = np.nanmean(iou(other[:, 0]) - iou(base[:, 0]), axis=1)
    half = stats.t.ppf(0.975, 3) * each.std(ddof=1) / 2
    assert (found.low, found.high) == pytest.approx((each.mean() - half, each.mean() + half))
    assert found.scene_error == pytest.approx(0, abs=1e-9)


def test_one_seed_speaks_of_scenes_and_one_scene_of_seeds() -> None:
    arms = drawn(np.random.default_rng(2), 1, 3, 6)[0]
    over_scenes = paired_interval(arms[0, :1], arms[1, :1], iou)
    assert np.isnan(over_scenes.seed_error) and over_scenes.degrees == 5
    over_seeds = paired_interval(arms[0, :, :1], arms[1, :, :1], iou)
    assert np.isnan(over_seeds.scene_error) and over_seeds.degrees == 2
    assert np.isnan(paired_interval(arms[0, :1, :1], arms[1, :1, :1], iou).low)


def test_a_class_of_one_scene_alone_does_not_blow_up_the_interval() -> None:
    arms = drawn(np.random.default_rng(3), 1, 3, 6)[0]
    rare = arms.copy()
    rare[:, :, 1:, 4] = 0
    wide, usual = paired_interval(rare[0], rare[1], iou), paired_interval(arms[0], arms[1], iou)
    assert np.isfinite([wide.low, wide.high]).all()
    assert wide.high - wide.low < 3 * (usual.high - usual.low)


def of_class(k: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda matrices: iou(matrices)[..., k : k + 1]


def test_a_class_that_one_scene_alone_has_is_not_said_to_vary_nowhere() -> None:
    arms = drawn(np.random.default_rng(4), 1, 3, 6)[0]
    arms[:, :, 1:, 4] = 0
    found = paired_interval(arms[0], arms[1], of_class(4))
    assert (found.scenes, found.degrees) == (1, 2) and np.isnan(found.scene_error) and found.low < found.high
    assert np.isnan(paired_interval(arms[0, :1], arms[1, :1], of_class(4)).low)
    assert paired_interval(arms[0], arms[1], of_class(0)).scenes == 6


def test_scenes_without_the_class_are_no_degrees_of_freedom() -> None:
    arms = drawn(np.random.default_rng(5), 1, 1, 9)[0]
    arms[:, :, 2:, 4] = 0
    found = paired_interval(arms[0], arms[1], of_class(4))
    assert (found.scenes, found.degrees) == (2, 1)
    # It is as wide as the t quantile of one degree of freedom makes it.
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, 1) * found.scene_error)
