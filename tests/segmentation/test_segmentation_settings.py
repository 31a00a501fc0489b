import pytest
from pydantic import ValidationError

from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings, TrainingSettings
from satsynth.work.frozen import MOST_IMAGES

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


def test_a_misspelt_architecture_is_refused_with_the_nearest_name():
    network = {"architecture": "deeplabv3", "encoder": "resnet18"}
    with pytest.raises(ValidationError, match=r"must be one of fpn, pspnet, .* \(did you mean 'deeplabv3plus'\?\)"):
        SegmentationSettings(**{**GRID, "networks": {"a": network}})


@pytest.mark.parametrize(("architecture", "encoder"), [("farseg", "resnet18"), ("segdiff", "rrdb")])
def test_some_are_no_judge(architecture, encoder):
    with pytest.raises(ValidationError, match=f"'a' has the architecture '{architecture}'"):
        SegmentationSettings(**{**GRID, "networks": {"a": {"architecture": architecture, "encoder": encoder}}})


def test_a_network_without_values_of_its_own_is_identified_as_ever():
    grid = SegmentationSettings(**GRID)
    known = {"architecture": "unet", "encoder": "resnet18", "weights": None, "options": {}}
    assert grid.networks["a"].model_dump(mode="json") == grid.model_dump(mode="json")["networks"]["a"] == known
    assert grid.networks["a"].trained_by(grid.training) == grid.training


def test_values_of_its_own_take_the_place_of_those_of_all():
    own = {"images": 20, "batch_size": 4, "learning_rate": 1e-4, "ema": 0.9}
    network = SegmentationNetwork(architecture="unet", encoder="resnet18", **own)
    assert own.items() <= network.model_dump(mode="json").items()
    training = TrainingSettings(evaluations=5)
    changed = {name: value for name, value in own.items() if name != "ema"}
    found = network.trained_by(training).model_dump()
    assert found == {**TrainingSettings(images=1, evaluations=5).model_dump(), **changed}
    assert SegmentationNetwork.model_validate(network.model_dump()) == network


@pytest.mark.parametrize(
    ("settings", "pairs", "images"),
    [
        # `epochs` is not used beside `images`.
        ({"epochs": 4, "images": 7}, 1000, 7),
        ({"epochs": 5}, 1000, 5000),
        ({"epochs": 5}, 900, 4800),
        ({"epochs": 2.5, "least_steps": 3, "batch_size": 4}, 11, 28),
        ({"epochs": 4, "least_steps": 50, "batch_size": 8}, 10, 400),
        ({"images": 7, "least_steps": 50}, 1000, 7),
    ],
)
def test_one_rule_gives_the_budget(settings, pairs, images):
    resolved = TrainingSettings(**settings).for_pairs(pairs)
    assert resolved.images == resolved.budget == images
    assert resolved.model_dump().keys() == TrainingSettings(images=1).model_dump().keys()
    assert resolved.for_pairs(2 * pairs) == resolved


def test_a_budget_in_epochs_has_the_bounds_of_one_in_images():
    assert TrainingSettings(epochs=1e6).for_pairs(10**6).budget == MOST_IMAGES
    with pytest.raises(ValueError, match="12 epochs"):
        _ = TrainingSettings().budget


def test_a_budget_in_epochs_is_identified_by_its_images():
    usual = TrainingSettings(images=1600)
    known = {"images", "batch_size", "learning_rate", "weight_decay", "clip", "evaluations"}
    assert usual.model_dump(mode="json").keys() == known
    assert TrainingSettings(epochs=4, least_steps=100).for_pairs(400).model_dump() == usual.model_dump()
    assert {"epochs", "least_steps"} <= TrainingSettings(epochs=4).model_dump().keys()


def test_images_of_its_own_come_before_epochs_of_all():
    training = TrainingSettings(epochs=4)
    own = SegmentationNetwork(architecture="unet", encoder="resnet18", images=20).trained_by(training)
    other = SegmentationNetwork(architecture="unet", encoder="resnet18", batch_size=4).trained_by(training)
    assert own.for_pairs(1000).images == 20
    assert other.for_pairs(1000).images == 4000


def test_the_defaults_are_a_grid():
    grid = SegmentationSettings()
    assert SegmentationSettings.model_validate(grid.model_dump()) == grid
    assert grid.ratios == (0, 1) and grid.judge.network in grid.networks


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
        {"training": {"images": 10, "minutes": 3}},
        {"training": {"epochs": 0}},
        {"judge": {"network": "b"}},
        {"networks": {"a": {"architecture": "farseg", "encoder": "resnet18"}}},
        {"protocols": ["as_long_as_it_takes"]},
        {"augmentations": ["flips", "flips"]},
        {"real_shares": [1.0]},
        {"networks": {"a": {"architecture": "unet", "encoder": "resnet18", "batch_size": 1}}},
        {"networks": {"a": {"architecture": "unet", "encoder": "resnet18", "ema": 1.0}}},
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
