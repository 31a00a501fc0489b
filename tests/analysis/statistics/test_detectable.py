"""What a grid can show, against the intervals that it then has."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from satsynth.analysis.statistics.detectable import detectable
from satsynth.analysis.statistics.intervals import least_standard_errors, paired_interval
from satsynth.analysis.statistics.summary import summarise
from trainings_made import HELPED, iou, tables_of

NOTHING = pd.DataFrame(), pd.DataFrame()


def made(seeds: int, scenes: int, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Confusion matrices ``(seeds, scenes, 2, 2)`` of two arms, which differ by seed and by scene."""
    random = np.random.default_rng([seeds, scenes, draw])
    right = 700 + 40 * random.standard_normal((2, seeds, 1, 2)) + 40 * random.standard_normal((2, 1, scenes, 2))
    right = (right + 10 * random.standard_normal((2, seeds, scenes, 2))).clip(1, 999)
    one, other = right[..., None] * np.eye(2) + (1000 - right)[..., None] * (1 - np.eye(2))
    return one, other


@pytest.mark.parametrize(("seeds", "scenes"), [(1, 2), (2, 1), (3, 5), (8, 9)])
def test_no_interval_reaches_fewer_standard_errors_than_is_said_before(seeds: int, scenes: int) -> None:
    least = least_standard_errors(seeds, scenes)
    assert least == pytest.approx(stats.t.ppf(0.975, seeds + scenes - 2))
    for draw in range(50):
        found = paired_interval(*made(seeds, scenes, draw), iou)
        # The standard error of the difference is at least that of each part.
        assert found.half_width >= least * np.nanmax([found.seed_error, found.scene_error]) * (1 - 1e-9)
        assert found.seeds == seeds and found.half_width == pytest.approx(found.high - found.difference)


def test_one_seed_and_one_scene_show_nothing() -> None:
    assert least_standard_errors(1, 1) == np.inf
    assert detectable(*NOTHING, iou, 1, 1) == "1 seed and 1 test scene give no interval, so no difference can be shown"


def test_before_any_training_only_the_quantile_is_known() -> None:
    sentence = detectable(*NOTHING, iou, 3, 5)
    assert sentence.startswith(
        "with 3 seeds and 5 test scenes, the 95 % interval of a difference reaches at least 2.4 "
    )
    # The judge, a single training at R = 0, adds nothing.
    assert detectable(*tables_of({(0, 0): 0.4}), iou, 3, 5) == sentence
    assert "one seed does not show how trainings vary" in detectable(*tables_of(HELPED), iou, 1, 5)


def test_trainings_on_real_pairs_say_what_independent_arms_would_show() -> None:
    real = {(0, seed): 0.4 + 0.02 * seed for seed in range(3)}
    # Their standard deviation is 0.02; a difference of two such trainings has the error 0.02 sqrt(2 / 4) with 4 seeds.
    bound = stats.t.ppf(0.975, 4 + 2 - 2) * 0.02 * np.sqrt(2 / 4)
    sentence = detectable(*tables_of(real), iou, 4, 2)
    assert f"reaches about {100 * bound:.2f} points (fpn) to either side, as trainings at R = 0 vary" in sentence
    assert "test scenes" in sentence.split("vary; ")[1]


def test_seeds_that_are_done_let_expect_their_own_interval() -> None:
    runs, confusion = tables_of(HELPED)
    row = summarise(runs, confusion, iou).set_index("ratio").loc[1]
    half = 100 * (row["difference_high"] - row["difference_low"]) / 2
    sentence = detectable(runs, confusion, iou, 3, 2)
    assert f"differences below about {half:.2f} points (fpn, R = 1) cannot be shown" in sentence
    # More seeds, and the scenes here are alike: the error falls with the root of their number, the quantile too.
    more = stats.t.ppf(0.975, 11) / stats.t.ppf(0.975, 2) * np.sqrt(3 / 12)
    (expected,) = re.findall(r"about (\S+) points", detectable(runs, confusion, iou, 12, 2))
    assert float(expected) == pytest.approx(more * half, abs=0.006)


def test_the_arms_that_vary_least_and_most_are_named() -> None:
    wild = {(2, 0): 0.40, (2, 1): 0.60, (2, 2): 0.50}
    sentence = detectable(*tables_of({**HELPED, **wild}), iou, 3, 2)
    assert re.search(r"below about \S+ points \(fpn, R = 1\) to \S+ points \(fpn, R = 2\) cannot", sentence)


@pytest.mark.parametrize("planned", [2, 4, 5, 40])
def test_over_one_scene_the_error_falls_with_the_root_of_the_seeds(planned: int) -> None:
    found = paired_interval(*made(4, 1, 0), iou)
    wanted = stats.t.ppf(0.975, planned - 1) * found.seed_error * np.sqrt(4 / planned)
    assert found.expected_half_width(planned) == pytest.approx(wanted)


@pytest.mark.parametrize(("seeds", "scenes"), [(3, 5), (6, 9)])
def test_endlessly_many_seeds_leave_what_scenes_add(seeds: int, scenes: int) -> None:
    for draw in range(20):
        found = paired_interval(*made(seeds, scenes, draw), iou)
        assert found.expected_half_width(seeds) == found.half_width
        left = found.expected_half_width(10**9) / stats.t.ppf(0.975, scenes - 1)
        assert 0 <= left <= found.scene_error * (1 + 1e-9)


def test_what_is_expected_from_few_seeds_is_about_what_many_have() -> None:
    few = np.array([paired_interval(*made(4, 9, draw), iou).expected_half_width(16) for draw in range(60)])
    many = np.array([paired_interval(*made(16, 9, draw), iou).half_width for draw in range(60)])
    assert np.median(few) == pytest.approx(np.median(many), rel=0.2)
