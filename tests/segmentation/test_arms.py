from __future__ import annotations

import numpy as np
import pytest

from satsynth.pairs.cache import DecodedPairs
from satsynth.segmentation.arms import Arm, arms
from satsynth.segmentation.settings import SegmentationSettings, TrainingSettings
from satsynth.segmentation.streams import stream_of

TRAINING = TrainingSettings(images=80, batch_size=8)


def settings(**changes: object) -> SegmentationSettings:
    grid = {
        "networks": {"a": {"architecture": "unet", "encoder": "resnet18"}},
        "judge": {"network": "a"},
        "ratios": [0, 1, 2],
        "seeds": [0],
        "training": {"images": 10},
    }
    return SegmentationSettings.model_validate({**grid, **changes})


def pairs(value: int, count: int) -> DecodedPairs:
    return DecodedPairs(np.full((count, 16, 16, 3), value, np.uint8), np.full((count, 16, 16), value, np.uint8))


def real_share(arm: Arm, start: int, stop: int) -> float:
    """Return the share of real pairs, whose masks are 0, in a stretch of an arm's stream."""
    stream = stream_of(arm, pairs(0, 6), pairs(1, 18) if arm.ratio else None, 3, TRAINING)
    return float(np.mean([int(stream[i][1].max()) == 0 for i in range(start, stop)]))


class OwnCuts:
    """Cuts of a class of their own."""

    def cut(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return random.integers(0, 256, (16, 16, 3), np.uint8), np.full((16, 16), 2, np.uint8)


@pytest.mark.parametrize(
    ("arm", "first", "second"),
    [
        (Arm(0, "geometric"), 1, 1),
        (Arm(3, "geometric"), 0.25, 0.25),
        (Arm(3, "geometric", real_share=0.5), 0.5, 0.5),
        (Arm(3, "geometric", "pretrain_finetune"), 0, 1),
        (Arm(3, "geometric", "synthetic_only"), 0, 0),
    ],
)
def test_geometric_arms_see_windows_in_place_of_real_tiles(arm: Arm, first: float, second: float) -> None:
    drawn = pairs(1, 18) if arm.ratio else None
    stream = stream_of(arm, pairs(0, 6), drawn, 3, TRAINING, OwnCuts())
    seen = np.array([int(stream[i][1].max()) for i in range(80)])
    assert not (seen == 0).any()
    assert (np.mean(seen[:40] == 2), np.mean(seen[40:] == 2)) == (first, second)


def test_the_default_grid_has_an_arm_for_each_ratio() -> None:
    assert list(arms(settings())) == [Arm(0), Arm(1), Arm(2)]


def test_protocols_shares_and_augmentations_are_crossed_and_r_0_is_trained_once() -> None:
    found = list(
        arms(
            settings(
                ratios=[0, 1],
                protocols=["step_matched", "synthetic_only"],
                real_shares=[None, 0.5],
                augmentations=["flips", "cutmix", "none"],
            )
        )
    )
    each = [("step_matched", None), ("step_matched", 0.5), ("synthetic_only", None)]
    wanted = [
        arm
        for name in ("flips", "cutmix")
        for arm in (Arm(0, name), *(Arm(1, name, protocol, share) for protocol, share in each))
    ]
    assert found == [*wanted, Arm(0, "none")]
    assert len({arm.title for arm in found}) == len(found)


@pytest.mark.parametrize(("protocol", "images"), [("step_matched", 80), ("epoch_matched", 320), ("synthetic_only", 80)])
def test_only_matched_epochs_take_longer(protocol: str, images: int) -> None:
    assert Arm(3, "flips", protocol).images(TRAINING) == images
    assert Arm(0, "flips", protocol).images(TRAINING) == 80


def test_what_each_arm_is_shown() -> None:
    assert real_share(Arm(0), 0, 24) == 1
    # 6 real and 18 synthetic pairs: one epoch of the union.
    assert real_share(Arm(3), 0, 24) == 0.25
    assert real_share(Arm(3, "flips", "epoch_matched"), 0, 24) == 0.25
    assert real_share(Arm(3, "flips", "synthetic_only"), 0, 80) == 0
    half = Arm(3, "flips", "step_matched", 0.5)
    assert [real_share(half, i, i + 8) for i in (0, 8, 72)] == [0.5] * 3
    # 10 steps of 8: 5 on synthetic pairs, then 5 on real ones.
    after = Arm(3, "flips", "pretrain_finetune")
    assert (real_share(after, 0, 40), real_share(after, 40, 80)) == (0, 1)


def test_titles_name_what_is_not_the_default() -> None:
    assert Arm(1).title == "R=1"
    assert Arm(0.5, "cutmix", "epoch_matched", 0.5).title == "R=0.5 cutmix epoch_matched 50% real"
