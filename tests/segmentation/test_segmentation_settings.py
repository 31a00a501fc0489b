import pytest
from pydantic import ValidationError

from satsynth.segmentation.settings import SegmentationSettings

GRID = {
    "networks": {"a": {"architecture": "unet", "encoder": "resnet18"}},
    "judge": {"network": "a"},
    "ratios": [0, 0.5, 1],
    "seeds": [0],
    "training": {"images": 10},
}


def test_a_grid():
    grid = SegmentationSettings(**GRID)
    assert grid.ratios == (0, 0.5, 1)
    assert grid.networks["a"].weights is None


def test_null_takes_a_network_away():
    grid = SegmentationSettings(**{**GRID, "networks": {**GRID["networks"], "b": None}})
    assert list(grid.networks) == ["a"]


@pytest.mark.parametrize("ratios", [[0.5, 1], [0, -1], [0, 1, 1], [0, 0.0], []])
def test_ratios_must_be_distinct_and_hold_the_baseline(ratios):
    with pytest.raises(ValidationError, match="ratios"):
        SegmentationSettings(**{**GRID, "ratios": ratios})


@pytest.mark.parametrize(
    "change",
    [
        {"networks": {}},
        {"seeds": []},
        {"networks": {"a": {"architecture": "alexnet", "encoder": "resnet18"}}},
        {"training": {"images": 10, "batch_size": 1}},
        {"training": {"images": 10, "epochs": 3}},
        {"judge": {"network": "b"}},
        {"networks": {"a": {"architecture": "farseg", "encoder": "resnet18"}}},
        {"protocols": ["as_long_as_it_takes"]},
        {"augmentations": ["flips", "flips"]},
        {"real_shares": [1.0]},
    ],
)
def test_what_makes_no_sense_is_refused(change):
    with pytest.raises(ValidationError):
        SegmentationSettings(**{**GRID, **change})


def test_seeds_given_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="must be distinct"):
        SegmentationSettings(
            networks={"a": {"architecture": "unet", "encoder": "resnet18"}},
            judge={"network": "a"},
            ratios=(0, 1),
            seeds=(0, 0),
            training={"images": 8},
        )
