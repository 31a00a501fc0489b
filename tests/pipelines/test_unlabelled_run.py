"""A data set with images without masks, from its raw files to synthetic pairs, by the nodes on made data."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_data import make_data, picture, save
from satsynth.catalog.folder import PairStoreDataset
from satsynth.datasets.description import DatasetDescription
from satsynth.diffusion.cascade.saved import ENLARGER, SMALL
from satsynth.diffusion.cascade.settings import CascadeSettings
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.families import FAMILIES, family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.pipelines.comparison.nodes import compare_classes
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.ingestion.nodes import find_and_check
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.rivals.gan.settings import GanNetwork
from satsynth.scenes.settings import IngestionSettings
from satsynth.scenes.splits import SPLITS, UNLABELLED
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import AncestryError, DataError, SatSynthError
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.workspace import Workspace

SIDE = 32
COMPUTE = ComputeSettings(device="cpu", checkpoint_seconds=60)
NETWORK = {"stem": 8, "widths": [8, 16], "head": 0}
SHORT = {"images": 8, "batch_size": 4, "looks": 1, "unlabelled_share": 0.5}
FAMILY_SETTINGS: dict[str, Any] = {
    "diffusion": {**SHORT, "model": {"network": NETWORK, "noise_levels": "separate"}, "drawing": {"steps": 2}},
    "image_ddpm": {**SHORT, "model": {"network": NETWORK, "label_code": "none"}},
    "gan": {**SHORT, "network": GanNetwork(stem=2, width=8, widest=16, latent=8, mapping=2, pair_width=8)},
}
STAGE = {
    "images": 4,
    "batch_size": 4,
    "looks": 1,
    "model": {"network": {**NETWORK, "stem": 2}, "noise_levels": "separate"},
}
FAMILY_SETTINGS["cascade"] = {
    "small": {**STAGE, "unlabelled_share": 0.5},
    "enlarger": {**STAGE, "unlabelled_share": 0.5, "crop": 16},
}
TILING = TilingSettings(tile_size=SIDE, stride=SIDE)


@dataclass(frozen=True)
class World:
    """A data set with an image without a mask, and what is made of it."""

    workspace: Workspace
    description: DatasetDescription

    def scenes(self, **ingestion: Any) -> pd.DataFrame:
        return find_and_check(self.description, IngestionSettings(**ingestion), COMPUTE, self.workspace)[0]

    def tiles(self, scenes: pd.DataFrame) -> PairStore:
        return cut_tiles(scenes, self.description, TILING, COMPUTE, self.workspace)

    def families(self, **changes: Any) -> dict[str, Any]:
        return {
            name: family_of(name).settings.model_validate(FAMILY_SETTINGS.get(name, {})) for name in FAMILIES
        } | changes

    def train(self, tiles: PairStore, family: str = "diffusion", **changes: Any) -> SavedGenerator:
        families = self.families(**changes)
        return make_generator(tiles, GenerationSettings(family=family), COMPUTE, self.workspace, **families)


def world_of(folder: Path, unlabelled: tuple[str, ...] = ("more",)) -> World:
    made = make_data(folder / "raw", images={"unlabelled": unlabelled})
    image = picture(np.random.default_rng(40), 70, 100)
    save(made.raw / "more" / "x.png", image)
    return World(Workspace(project=str(folder), raw="raw"), made.description)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def tiles(world: World) -> PairStore:
    return world.tiles(world.scenes())


def test_their_tiles_are_a_split_of_their_own_and_change_no_other(
    world: World, tiles: PairStore, tmp_path: Path
) -> None:
    plain = world_of(tmp_path, ())
    labelled = plain.tiles(plain.scenes())
    assert tiles.count(UNLABELLED) == 2 * 3 and not labelled.count(UNLABELLED)
    pixels = {split: tiles.pixel_digests(split) for split in SPLITS}
    assert pixels == {split: labelled.pixel_digests(split) for split in SPLITS}
    image = picture(np.random.default_rng(40), 70, 100)
    for number, (cut, mask) in enumerate(tiles.arrays(UNLABELLED)):
        top, left = SIDE * (number // 3), SIDE * (number % 3)
        assert np.array_equal(cut, image[top : top + SIDE, left : left + SIDE]) and (mask == IGNORE_INDEX).all()
    assert set(tiles.scenes(UNLABELLED)) == {"unlabelled/1/x"}
    assert HELD_OUT_IMAGES not in tiles.manifest and Seen.of(tiles, "train") == Seen.of(labelled, "train")


def test_tiles_of_mostly_transparent_images_are_left_out(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    alpha = np.full((70, 100, 1), 255, np.uint8)
    # All of the first tile, and less than half of the second one.
    alpha[:SIDE, : SIDE + 10] = 0
    image = picture(np.random.default_rng(40), 70, 100)
    save(tmp_path / "raw" / "more" / "x.png", np.concatenate([image, alpha], 2))
    tiles = world.tiles(world.scenes())
    assert tiles.count(UNLABELLED) == 5
    assert np.array_equal(next(tiles.arrays(UNLABELLED))[0][:, 10:], image[:SIDE, SIDE + 10 : 2 * SIDE])


def test_images_smaller_than_a_tile_are_refused_if_there_are_no_others(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    save(tmp_path / "raw" / "more" / "x.png", picture(np.random.default_rng(40), 20, 100))
    with pytest.raises(DataError, match="no unlabelled scene is that large: the largest, unlabelled/1/x, is 100 x 20"):
        world.tiles(world.scenes())


def test_both_models_of_a_cascade_learn_from_them(world: World, tiles: PairStore) -> None:
    generator = world.train(tiles, "cascade")
    assert generator.scenes == {*tiles.scenes("train"), "unlabelled/1/x"}
    plain = {stage: {**FAMILY_SETTINGS["cascade"][stage], "unlabelled_share": 0} for stage in ("small", "enlarger")}
    other = world.train(tiles, "cascade", cascade=CascadeSettings(**plain))
    assert other.scenes == set(tiles.scenes("train"))
    for weights in (SMALL, ENLARGER):
        assert (other.path / weights).read_bytes() != (generator.path / weights).read_bytes()


@pytest.mark.parametrize("family", ["diffusion", "image_ddpm", "gan"])
def test_generators_learn_from_them(world: World, tiles: PairStore, family: str) -> None:
    generator = world.train(tiles, family)
    train = set(tiles.scenes("train"))
    assert generator.scenes == train | {"unlabelled/1/x"} and HELD_OUT_IMAGES not in generator.manifest
    assert Seen.by(generator) == Seen.of(tiles, "train") | Seen.of(tiles, UNLABELLED)
    assert {part.scene_id for part in generator.image_parts} == generator.scenes
    settings: dict[str, Any] = FAMILY_SETTINGS[family]
    without = world.train(tiles, family, **{family: family_of(family).settings(**{**settings, "unlabelled_share": 0})})
    assert without.scenes == train
    weights = "ema.safetensors"
    assert (generator.path / weights).read_bytes() != (without.path / weights).read_bytes()


def test_classes_and_synthetic_pairs_are_those_of_labelled_scenes(world: World, tiles: PairStore) -> None:
    generator, scenes = world.train(tiles), world.scenes()
    pairs = draw_pairs(
        generator,
        tiles,
        scenes,
        world.description,
        GenerationSettings(),
        SamplingSettings(layouts="real", max_pairs=4, windows={"pasted": {"share": 0.5}}),
        SegmentationSettings(),
        COMPUTE,
        world.workspace,
        **world.families(),
    )
    assert pairs.count("synthetic") == 4
    distribution, adjacency = compare_classes(tiles, pairs, world.workspace)
    assert set(distribution["split"]) == set(adjacency["split"]) == {*SPLITS, "synthetic"}


def test_replay_draws_none_of_them(world: World, tiles: PairStore) -> None:
    replay = world.train(tiles, "replay")
    assert replay.manifest["pairs"] == tiles.count("train") and replay.scenes == set(tiles.scenes("train"))


def test_without_noise_levels_of_their_own_they_are_refused(world: World, tiles: PairStore) -> None:
    with pytest.raises(SatSynthError, match="noise_levels` is `common`"):
        world.train(tiles, diffusion=DiffusionSettings(images=8, model={"noise_levels": "common"}))


def test_the_preview_shows_labelled_pairs(tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("satsynth.analysis.report.gallery.contact_sheet", lambda pairs, *_: shown.extend(pairs))
    monkeypatch.setattr("satsynth.catalog.folder.picture_preview", lambda sheet: sheet)
    dataset = PairStoreDataset(filepath=str(tmp_path))
    monkeypatch.setattr(dataset, "load", lambda: tiles)
    dataset.preview(5)
    assert len(shown) == 5 and not any((mask == IGNORE_INDEX).all() for _, mask in shown)


def test_a_generator_that_may_see_held_out_images_names_them(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    shutil.copy(tmp_path / "raw" / "west" / "images" / "a.png", tmp_path / "raw" / "more" / "copy.png")
    with pytest.raises(DataError, match=r"is a copy of west/images/a\.png, which is in test"):
        world.scenes()
    # As with every bad file, it may be left out instead.
    assert "unlabelled/1/copy" not in set(world.scenes(on_bad_scene="skip")["scene_id"])
    tiles = world.tiles(world.scenes(held_out_images="use"))
    assert tiles.manifest[HELD_OUT_IMAGES] == ["west/a"]
    generator, settings = world.train(tiles), FAMILY_SETTINGS["diffusion"]
    assert generator.held_out_images == ["west/a"]
    apart = DiffusionSettings(**{**settings, "unlabelled_share": 0})
    assert not world.train(tiles, diffusion=apart).held_out_images
    # Its weights would bring into another generator what they have seen.
    with pytest.raises(AncestryError, match="west/a"):
        world.train(tiles, diffusion=DiffusionSettings(**{**settings, "start_from": str(generator.path)}))
