"""What every family of generators keeps to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from satsynth.generation.drawers import Request
from satsynth.generation.families import FAMILIES, FamilySettings, family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.generation.training import train_generator, training_step
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST
from satsynth.work.folder import work_folder
from threads import one_thread  # noqa: F401  # a fixture is used by being imported

COMPUTE = ComputeSettings(device="cpu")
pytestmark = pytest.mark.parametrize("name", FAMILIES)


def made(name: str, settings: FamilySettings, tiles: PairStore, root: Path) -> SavedGenerator:
    family = family_of(name)
    with work_folder(root, training_step(family, settings, tiles, COMPUTE)) as folder:
        train_generator(folder, family, settings, tiles, COMPUTE, root)
    return SavedGenerator(folder.result)


def test_a_family_is_known_by_its_name_and_has_settings_of_its_own(name: str) -> None:
    family = family_of(name)
    assert family.name == name
    assert issubclass(family.settings, FamilySettings)
    # A plain script gets its defaults.
    # What a training starts from is known by its digest, not by its place.
    # A micro batch and crops count where there are any.
    left_out = {"drawing", "start_from", "micro_batch", "crops"}
    assert family.settings().training_identity().keys() == family.settings.model_fields.keys() - left_out


def test_auto_layouts_are_those_that_it_can_draw(name: str, settings_of: dict[str, FamilySettings]) -> None:
    family, settings = family_of(name), settings_of[name]
    sampling = SamplingSettings(layouts="auto").settled(family.paints(settings))
    family.require_layouts(settings, sampling.layouts)
    if sampling.layouts == "joint":
        with pytest.raises(SatSynthError, match=r"`sampling\.layouts: real`"):
            family.require_layouts(settings, "real")
    assert sampling.settled(paints=True) == sampling


def test_it_is_imported_without_heavy_libraries(name: str) -> None:
    code = (
        "import sys; from satsynth.generation.families import family_of; "
        f"family_of({name!r}).settings(); "
        "print([n for n in ('torch', 'diffusers', 'albumentations', 'kedro', 'mlflow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_leaves_a_folder_that_says_what_it_is(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore, tmp_path: Path
) -> None:
    saved = made(name, settings_of[name], tiles, tmp_path / "work")
    assert saved.family == name and saved.manifest["kind"] == "generator"
    assert saved.tile_size == tiles.tile_size and saved.class_names == tiles.class_names
    assert saved.parents["tiles"] == tiles.digest
    # The maker of foreign pairs saw scenes that nobody knows.
    assert saved.scenes == (set() if name == "folder" else set(tiles.scenes("train")))


def test_how_pairs_are_drawn_does_not_train_again(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore
) -> None:
    family, settings = family_of(name), settings_of[name]
    other = settings.model_copy(update={"drawing": type(settings.drawing).model_construct(steps=9)})
    assert training_step(family, settings, tiles, COMPUTE) == training_step(family, other, tiles, COMPUTE)


def test_a_pair_depends_on_seed_and_number_alone(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore, tmp_path: Path
) -> None:
    saved = made(name, settings_of[name], tiles, tmp_path / "work")
    drawer = family_of(name).load(saved, settings_of[name], COMPUTE)
    images, masks = drawer.draw(range(4), Request(1))
    side = tiles.tile_size
    assert (images.shape, images.dtype) == ((4, side, side, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((4, side, side), np.uint8)
    assert np.isin(masks, [*range(len(tiles.class_names)), 255]).all()
    later = drawer.draw(range(2, 6), Request(1))
    assert np.array_equal(images[2:], later[0][:2]) and np.array_equal(masks[2:], later[1][:2])
    again = family_of(name).load(saved, settings_of[name], COMPUTE).draw(range(4), Request(1))
    assert np.array_equal(images, again[0]) and np.array_equal(masks, again[1])
    assert not np.array_equal(images, drawer.draw(range(4), Request(2))[0])


def test_the_files_that_it_names_suffice_to_draw(
    name: str, settings_of: dict[str, FamilySettings], tiles: PairStore, tmp_path: Path
) -> None:
    family = family_of(name)
    saved = made(name, settings_of[name], tiles, tmp_path / "work")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in (MANIFEST, *family.drawing_files):
        shutil.copyfile(saved.path / file, elsewhere / file)
    here, there = (family.load(s, settings_of[name], COMPUTE) for s in (saved, SavedGenerator(elsewhere)))
    for a, b in zip(here.draw(range(3), Request(0)), there.draw(range(3), Request(0)), strict=True):
        assert np.array_equal(a, b)
