"""Sets of pairs for all layouts, painted scenes and drawn labels, by the nodes on made data."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from made_data import NAMES, MadeData, blobs, make_data, paint, picture, save
from satsynth.datasets.description import DatasetDescription
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings
from satsynth.generation.families import FAMILIES, family_of
from satsynth.generation.painting import number_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings, LabellingSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.ingestion.nodes import find_and_check
from satsynth.pipelines.labelling.nodes import label_real_images
from satsynth.pipelines.painting.nodes import paint_drawn_masks
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import AncestryError, SatSynthError
from satsynth.work.workspace import Workspace

SIDE, NUMBER = 32, 6
COMPUTE = ComputeSettings(device="cpu", checkpoint_seconds=60)
DIFFUSION = DiffusionSettings(
    model=GeneratorSettings(network=NetworkSettings(stem=8, widths=(8, 16), head=0), noise_levels="separate"),
    tasks={"joint": 0.4, "image": 0.4, "mask": 0.1, "independent": 0.1},
    images=4,
    batch_size=2,
    looks=1,
    drawing=DiffusionDrawing(steps=2),
)
PLACE = from_origin(500_000, 4_000_000, 0.5, 0.5)


@dataclass(frozen=True)
class World:
    """A small data set, its tiles, and a generator that was trained a little."""

    workspace: Workspace
    description: DatasetDescription
    scenes: pd.DataFrame
    tiles: PairStore
    generator: SavedGenerator
    made: MadeData

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def families(self, **changes: Any) -> dict[str, Any]:
        return {name: family_of(name).settings() for name in FAMILIES} | {"diffusion": DIFFUSION} | changes

    def draw(self, **sampling: Any) -> PairStore:
        settings = SamplingSettings(**{"max_pairs": NUMBER, "shard_pairs": 4, "batch_size": 4, **sampling})
        return draw_pairs(
            self.generator,
            self.tiles,
            self.scenes,
            self.description,
            GenerationSettings(),
            settings,
            SegmentationSettings(),
            COMPUTE,
            self.workspace,
            **self.families(),
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("project")
    made = make_data(folder / "raw")
    workspace = Workspace(project=str(folder), raw="raw")
    scenes, _ = find_and_check(made.description, IngestionSettings(), COMPUTE, workspace)
    tiling = TilingSettings(tile_size=SIDE, stride=SIDE)
    tiles = cut_tiles(scenes, made.description, tiling, COMPUTE, workspace)
    families: dict[str, Any] = {name: family_of(name).settings() for name in FAMILIES} | {"diffusion": DIFFUSION}
    generator = make_generator(tiles, GenerationSettings(), COMPUTE, workspace, **families)
    # From here on, scenes of val and test cannot be read.
    for group in ("east", "west"):
        shutil.rmtree(made.raw / group)
    return World(workspace, made.description, scenes, tiles, generator, made)


def masks_of(store: PairStore) -> np.ndarray:
    return np.stack([mask for _, mask in store.arrays()])


@pytest.fixture(scope="module")
def drawn(world: World) -> dict[str, np.ndarray]:
    """Masks that a user has drawn: one of a tile, and a larger one with its place on Earth."""
    random = np.random.default_rng(5)
    masks = {"sketch": blobs(random, SIDE, SIDE), "town/plan": blobs(random, SIDE, 2 * SIDE + 6)}
    save(world.folder / "drawn" / "sketch.png", paint(masks["sketch"]))
    write_tiff(world.folder / "drawn" / "town" / "plan.tif", paint(masks["town/plan"]))
    return masks


def write_tiff(path: Path, pixels: np.ndarray, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape[:2]
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": height, "width": width, **more}
    with rasterio.open(path, "w", crs="EPSG:32640", transform=PLACE, photometric="RGB", **profile) as file:
        file.write(np.moveaxis(pixels, -1, 0))


def test_masks_cut_anew_come_from_training_scenes_only(world: World) -> None:
    """Upright windows at zoom one are parts of a training scene's mask."""
    store = world.draw(layouts="real", windows={"zoom": [1, 1], "angles": "none", "mirrored": False})
    assert store.manifest["layouts"] == "real" and "layouts" in store.parents
    train = set(world.scenes.loc[world.scenes["split"] == "train", "scene_id"])
    parts = {
        part.tobytes()
        for name in train
        for part in np.lib.stride_tricks.sliding_window_view(world.made.masks[name], (SIDE, SIDE)).reshape(
            -1, SIDE, SIDE
        )
    }
    masks = masks_of(store)
    assert len(masks) == NUMBER and {mask.tobytes() for mask in masks} <= parts
    assert len({mask.tobytes() for mask in masks}) == NUMBER


def test_drawn_masks_become_pairs_in_turn(world: World, drawn: dict[str, np.ndarray]) -> None:
    store = world.draw(layouts="folder", layout_folder="drawn", smallest_region=9)
    sketch, plan = drawn.values()
    layouts = [sketch, *(plan[:, left : left + SIDE] for left in (0, SIDE, SIDE + 6))]
    assert np.array_equal(masks_of(store), np.stack([layouts[number % 4] for number in range(NUMBER)]))
    images = [image for image, _ in store.arrays()]
    # The same layout is painted again with other noise.
    assert not np.array_equal(images[0], images[4])


def test_one_generator_draws_for_all_layouts_and_each_set_is_its_own(
    world: World, drawn: dict[str, np.ndarray]
) -> None:
    ways = [{"layouts": "joint"}, {"layouts": "model"}, {"layouts": "real"}]
    stores = [world.draw(**way) for way in (*ways, {"layouts": "folder", "layout_folder": "drawn"})]
    assert len({store.digest for store in stores}) == 4
    assert {store.parents["generator"] for store in stores} == {world.generator.digest}
    assert world.draw(layouts="real").path == stores[2].path
    # Pair i is the same in a set of another size, and in shards of another size.
    more = world.draw(layouts="real", max_pairs=NUMBER + 1)
    assert more.pixel_digests("synthetic")[:NUMBER] == stores[2].pixel_digests("synthetic")


def test_layouts_of_other_scenes_are_refused(world: World) -> None:
    other = World(**{**vars(world), "scenes": world.scenes.iloc[1:]})
    with pytest.raises(AncestryError, match="were cut from other `scenes`"):
        other.draw(layouts="real")


def test_layouts_that_the_generator_cannot_paint_are_refused(world: World) -> None:
    with pytest.raises(SatSynthError, match=r"`sampling.layout_folder` 'nowhere' .* holds no masks"):
        world.draw(layouts="folder", layout_folder="nowhere")
    for family in ("replay", "folder"):
        with pytest.raises(SatSynthError, match="images and masks together only"):
            family_of(family).require_layouts(family_of(family).settings(), "real")


def test_drawn_masks_are_painted_whole(world: World, drawn: dict[str, np.ndarray]) -> None:
    settings = SamplingSettings(layout_folder="drawn", batch_size=4)

    def painted() -> Any:
        return paint_drawn_masks(
            world.generator,
            world.description,
            GenerationSettings(),
            settings,
            COMPUTE,
            world.workspace,
            **world.families(),
        )

    result = painted()
    assert result.manifest["scenes"] == list(drawn)
    for kind in ("images", "masks"):
        with rasterio.open(result.path / kind / "town" / "plan.tif") as file:
            assert file.crs.to_epsg() == 32640 and file.transform == PLACE
            pixels = np.moveaxis(file.read(), 0, -1)
        assert pixels.shape == (SIDE, 2 * SIDE + 6, 3)
        if kind == "masks":
            assert np.array_equal(pixels, paint(drawn["town/plan"]))
    assert np.array_equal(np.asarray(Image.open(result.path / "masks" / "sketch.png")), paint(drawn["sketch"]))
    image = np.asarray(Image.open(result.path / "images" / "sketch.png"))
    assert image.shape == (SIDE, SIDE, 3) and image.std() > 0
    # The colours of masks are explained beside them, and what is done is not done again.
    assert [c["name"] for c in json.loads((result.path / "classes.json").read_text())["classes"]] == NAMES
    assert painted().path == result.path
    assert number_of("sketch") != number_of("town/plan")


def test_images_are_labelled_with_the_share_of_draws_that_agree(world: World) -> None:
    random = np.random.default_rng(8)
    placed, small = picture(random, 40, 70), picture(random, 20, 45)
    placed[:, 60:] = 0
    write_tiff(world.folder / "unlabelled" / "a.tif", placed, nodata=0)
    save(world.folder / "unlabelled" / "b.png", small)
    # Tiles of half the resolution: labels are on the grid of the image all the same.
    description = world.description.model_copy(update={"scale": 0.5})

    def labelled(draws: int) -> Any:
        return label_real_images(
            world.generator,
            description,
            GenerationSettings(),
            LabellingSettings(images="unlabelled", draws=draws),
            COMPUTE,
            world.workspace,
            **world.families(),
        )

    result = labelled(4)
    with rasterio.open(result.path / "masks" / "a.tif") as file:
        assert file.crs.to_epsg() == 32640 and file.transform == PLACE
        mask = np.moveaxis(file.read(), 0, -1)
    with rasterio.open(result.path / "agreement" / "a.tif") as file:
        assert file.transform == PLACE
        agreement = file.read(1)
    assert mask.shape == (40, 70, 3) and agreement.shape == (40, 70)
    # Where there is no image there is no label.
    assert (agreement[:, 60:] == 0).all() and (mask[:, 60:] == paint(np.full((1, 1), 255))[0, 0]).all()
    known = {tuple(color) for color in paint(np.arange(3)[None])[0].tolist()}
    assert {tuple(color) for color in mask[:, :60].reshape(-1, 3).tolist()} <= known
    assert set(np.unique(agreement[:, :60])) <= {50, 75, 100} and len(np.unique(agreement)) > 2
    assert np.asarray(Image.open(result.path / "masks" / "b.png")).shape == (20, 45, 3)
    # One draw agrees with itself.
    with rasterio.open(labelled(1).path / "agreement" / "a.tif") as file:
        assert (file.read(1)[:, :60] == 100).all()


def test_no_folder_of_images_is_refused(world: World) -> None:
    with pytest.raises(SatSynthError, match=r"`labelling.images` '' holds no images"):
        label_real_images(
            world.generator,
            world.description,
            GenerationSettings(),
            LabellingSettings(),
            COMPUTE,
            world.workspace,
            **world.families(),
        )
