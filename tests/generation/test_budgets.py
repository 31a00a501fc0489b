"""Equal budgets for families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from satsynth.generation.budgets import with_budget
from satsynth.generation.families import FAMILIES, FamilySettings, family_of
from satsynth.generation.settings import BudgetSettings, RivalsSettings, SamplingSettings
from satsynth.generation.training import training_step
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace

COMPUTE = ComputeSettings(device="cpu")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_a_speed_where_it_has_a_budget(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore
) -> None:
    speed = family_of(name).seconds_an_image(settings_of[name], len(tiles.class_names), tiles.tile_size, COMPUTE)
    assert (speed is None) == (settings_of[name].budget is None) == (name in ("replay", "folder"))
    assert speed is None or 0 < speed < 60


@pytest.mark.parametrize("name", FAMILIES)
def test_a_budget_in_images_is_that_of_each_family_that_trains(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore, tmp_path: Path
) -> None:
    workspace, own = Workspace(project=str(tmp_path)), settings_of[name]
    family = family_of(name)
    assert with_budget(family, own, BudgetSettings(), tiles, COMPUTE, workspace) == own
    found = with_budget(family, own, BudgetSettings(images=77), tiles, COMPUTE, workspace)
    assert found.budget == (None if own.budget is None else 77)
    assert (found == own) == (own.budget is None) and found.drawing == own.drawing
    # Without a budget the training is that of a run of this family.
    same = with_budget(family, own, BudgetSettings(), tiles, COMPUTE, workspace)
    assert training_step(family, same, tiles, COMPUTE) == training_step(family, own, tiles, COMPUTE)


def test_seconds_become_images_by_a_speed_that_is_measured_once(
    settings_of: dict[str, FamilySettings], tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = iter([0.25, 0.5, 4.0])
    monkeypatch.setattr("satsynth.diffusion.family.JointDiffusion.seconds_an_image", lambda *_: next(speeds))
    workspace, family = Workspace(project=str(tmp_path)), family_of("diffusion")

    def images(settings: FamilySettings, seconds: float) -> int | None:
        return with_budget(family, settings, BudgetSettings(seconds=seconds), tiles, COMPUTE, workspace).budget

    own = settings_of["diffusion"]
    assert images(own, 100) == 400
    # Measured before, whatever the machine does now: the same command trains the same generator.
    assert images(own, 100) == 400
    assert images(own.model_copy(update={"images": 9}), 10) == 40
    assert images(own.model_copy(update={"batch_size": 4}), 10) == 20, "another network or batch is measured itself"
    assert images(own.model_copy(update={"batch_size": 8}), 1) == 1, "at least one"


def test_a_cascade_shares_its_budget_as_before(settings_of: dict[str, FamilySettings]) -> None:
    own: Any = settings_of["cascade"]
    for images in (2, 77, 100_000):
        found = own.with_budget(images)
        assert found.budget == images == found.small.images + found.enlarger.images
    share = own.small.images / own.budget
    assert found.small.images / found.budget == pytest.approx(share, abs=1e-4)
    assert own.with_budget(own.budget) == own


def test_a_budget_is_given_once() -> None:
    with pytest.raises(ValidationError, match="both given"):
        BudgetSettings(images=8, seconds=3)


@pytest.mark.parametrize("families", [["gan", "gan"], ["gans"], []])
def test_families_are_known_and_distinct(families: list[str]) -> None:
    with pytest.raises(ValidationError, match="families"):
        RivalsSettings(families=tuple(families))


def test_all_families_draw_as_many_pairs_in_a_way_that_each_of_them_can() -> None:
    usual = SamplingSettings(ratio=2, max_pairs=5, layouts="folder", layout_folder="masks", seed=4)
    for pairs, number in ((None, 5), (1, 1), (300, 300)):
        asked = RivalsSettings(pairs=pairs).sampling_of(usual, 7)
        assert asked.total(7) == number and asked.layouts == "joint" and asked.seed == 4
    for layouts, way in (("joint", "joint"), ("model", "joint"), ("real", "auto"), ("auto", "auto")):
        assert RivalsSettings().sampling_of(usual.model_copy(update={"layouts": layouts}), 7).layouts == way
    # As a run draws them, but for their number.
    assert RivalsSettings(pairs=3).sampling_of(SamplingSettings(), 7).identity() == SamplingSettings().identity()
