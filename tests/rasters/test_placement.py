"""A mask that does not cover its image is refused before any of its pixels become labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from made_data import describe, picture
from satsynth.rasters.reading import raster_info
from satsynth.scenes.finding import find_scenes, search_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.files import file_digest

UTM, WGS = "EPSG:32640", "EPSG:4326"
GRID = Affine(0.5, 0, 400_000, 0, -0.5, 2_780_000)
TURNED = Affine(0.5, 0.05, 400_000, 0.05, -0.5, 2_780_000)
HEIGHT, WIDTH = 40, 60
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
RNG = np.random.default_rng(4)
DESCRIPTION = {
    "layout": {
        "kind": "files",
        "pattern": r"(?P<name>\w+)\.tif",
        "mask": "masks/{name}.tif",
        "scene": "{name}",
        "group": "{name}",
    },
    "masks": {"encoding": "index"},
    "classes": [{"name": f"c{i}", "raw": i, "color": "#000000"} for i in range(3)],
    "ignore": [],
    "splits": {"val": ["b"], "test": ["c"]},
}


def write(path: Path, pixels: np.ndarray, crs: str | None, grid: Affine | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
    count, height, width = bands.shape
    place: dict[str, Any] = {"crs": crs} if crs else {}
    place |= {"transform": grid} if grid else {}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype="uint8", **place
    ) as file:
        file.write(bands)


def write_mask(raw: Path, crs: str | None, grid: Affine | None, height: int = HEIGHT, width: int = WIDTH) -> None:
    write(raw / "masks" / "a.tif", RNG.integers(0, 3, (height, width)).astype(np.uint8), crs, grid)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in "abc":
        write(tmp_path / f"{name}.tif", picture(RNG, HEIGHT, WIDTH), UTM, GRID)
        write(tmp_path / "masks" / f"{name}.tif", RNG.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8), UTM, GRID)
    return tmp_path


SAME_BY_OTHER_NAME = (
    CRS.from_epsg(32640).to_wkt().replace("WGS 84 / UTM zone 40N", "our grid").replace("32640", "99999")
)


@pytest.mark.parametrize(
    ("crs", "grid"),
    [
        (UTM, GRID),
        (UTM, GRID @ Affine.translation(0.3, -0.3)),
        (SAME_BY_OTHER_NAME, GRID),
        (None, None),
        (None, GRID @ Affine.translation(50, 0)),
    ],
    ids=["the same", "less than half a pixel off", "named otherwise", "says nothing", "says no system"],
)
def test_a_mask_on_its_image_is_taken(raw: Path, crs: str | None, grid: Affine | None) -> None:
    write_mask(raw, crs, grid)
    assert search_scenes(describe(**DESCRIPTION), raw, file_digest)[1] == []


@pytest.mark.parametrize(
    ("crs", "grid", "said"),
    [
        (UTM, GRID @ Affine.translation(3, 0), "its corners are 3.0 pixels away from the image's"),
        (UTM, GRID @ Affine.translation(0, -40), "its corners are 40.0 pixels away from the image's"),
        (UTM, GRID @ Affine.scale(2), "pixels away from the image's"),
        (UTM, GRID @ Affine.translation(0, HEIGHT) @ Affine.scale(1, -1), "its corners are 40.0 pixels away"),
        (UTM, TURNED, "pixels away from the image's"),
        ("EPSG:32639", GRID, "(mask in EPSG:32639, image in EPSG:32640)"),
        (WGS, Affine(5e-6, 0, 56.01, 0, -5e-6, 25.13), "(mask in EPSG:4326, image in EPSG:32640)"),
        (WGS, GRID, "outside the image's map"),
    ],
)
def test_a_mask_elsewhere_on_earth_is_named_with_its_remedy(raw: Path, crs: str, grid: Affine, said: str) -> None:
    write_mask(raw, crs, grid)
    scenes, bad = search_scenes(describe(**DESCRIPTION), raw, file_digest)
    assert [scene.scene_id for scene in scenes] == ["b", "c"]
    (found,) = bad
    assert (found.file, found.scene) == ("masks/a.tif", "a")
    assert "lies elsewhere on Earth than its image a.tif" in found.problem and said in found.problem
    assert "gdalwarp -t_srs EPSG:32640 -te 400000 2779980 400030 2780000 -ts 60 40 -r near" in found.remedy
    assert "gdal_edit.py -unsetgt" in found.remedy


SOUTH_UP = GRID @ Affine.translation(0, HEIGHT) @ Affine.scale(1, -1)


@pytest.mark.parametrize(
    ("of_image", "of_mask", "what"),
    [
        ((UTM, GRID), (None, SOUTH_UP), "rows"),
        ((UTM, SOUTH_UP), (None, GRID), "rows"),
        ((None, GRID), (UTM, SOUTH_UP), "rows"),
        ((UTM, TURNED), (None, TURNED @ Affine.translation(0, HEIGHT) @ Affine.scale(1, -1)), "rows"),
        ((UTM, GRID), (None, GRID @ Affine.translation(WIDTH, 0) @ Affine.scale(-1, 1)), "columns"),
        ((UTM, GRID), (None, Affine(5e-6, 0, 56.01, 0, 5e-6, 25.12)), "rows"),
    ],
)
def test_a_mask_without_a_system_that_runs_the_other_way_is_refused(
    raw: Path, of_image: tuple[str, Affine], of_mask: tuple[str, Affine], what: str
) -> None:
    write(raw / "a.tif", picture(RNG, HEIGHT, WIDTH), *of_image)
    write_mask(raw, *of_mask)
    (found,) = search_scenes(describe(**DESCRIPTION), raw, file_digest)[1]
    assert found.file == "masks/a.tif" and f"has its {what} in the opposite direction" in found.problem


def test_coordinates_that_count_pixels_say_nothing_about_north(raw: Path) -> None:
    write_mask(raw, None, Affine(2, 0, 0, 0, 2, 0))
    assert search_scenes(describe(**DESCRIPTION), raw, file_digest)[1] == []


def test_the_command_that_the_message_gives_puts_the_mask_right(raw: Path) -> None:
    truth = RNG.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    write(raw / "masks" / "a.tif", truth[::-1], None, SOUTH_UP)
    (found,) = search_scenes(describe(**DESCRIPTION), raw, file_digest)[1]
    words = found.remedy.split("gdalwarp ")[1].split()
    given = {word: words[place + 1 :] for place, word in enumerate(words) if word.startswith("-") and word[1].isalpha()}
    left, bottom, right, top = map(float, given["-te"][:4])
    width, height = map(int, given["-ts"][:2])
    target = Affine((right - left) / width, 0, left, 0, (bottom - top) / height, top)
    warped = np.full((height, width), 9, np.uint8)
    reproject(
        truth[::-1].copy(), warped, src_transform=SOUTH_UP, src_crs=given["-s_srs"][0], dst_transform=target,
        dst_crs=given["-t_srs"][0], resampling=Resampling.nearest,
    )  # fmt: skip
    write(raw / "masks" / "a.tif", warped, given["-t_srs"][0], target)
    scene = find_scenes(describe(**DESCRIPTION), raw, file_digest)[0]
    np.testing.assert_array_equal(SceneReader(describe(**DESCRIPTION), raw).read(scene, 0, 0, HEIGHT, WIDTH)[1], truth)


def test_an_image_that_says_nothing_takes_any_mask_of_its_size(raw: Path) -> None:
    write(raw / "a.tif", picture(RNG, HEIGHT, WIDTH), None, None)
    assert search_scenes(describe(**DESCRIPTION), raw, file_digest)[1] == []


@pytest.mark.parametrize("factor", [0.25, 3])
def test_a_mask_on_a_finer_or_coarser_grid_of_the_same_area_is_taken(raw: Path, factor: float) -> None:
    description = describe(**{**DESCRIPTION, "masks": {"encoding": "index", "align": "nearest"}})
    size = round(HEIGHT * factor), round(WIDTH * factor)
    write_mask(raw, UTM, GRID @ Affine.scale(1 / factor), *size)
    assert search_scenes(description, raw, file_digest)[1] == []
    write_mask(raw, UTM, GRID @ Affine.translation(10, 0) @ Affine.scale(1 / factor), *size)
    (found,) = search_scenes(description, raw, file_digest)[1]
    assert "lies elsewhere on Earth" in found.problem


@pytest.mark.parametrize(
    ("size", "align", "said"),
    [
        ((HEIGHT, WIDTH - 1), "exact", "is 60 x 40 pixels, but its mask masks/a.tif is 59 x 40"),
        ((WIDTH, HEIGHT), "exact", "its mask masks/a.tif is 40 x 60: one of them is rotated by 90 degrees"),
        ((WIDTH, HEIGHT), "nearest", "one of them is rotated by 90 degrees"),
        ((HEIGHT, WIDTH * 2), "nearest", "its mask masks/a.tif is 120 x 40: the shapes differ"),
        ((HEIGHT // 2, WIDTH // 2 + 3), "nearest", "the shapes differ"),
        ((HEIGHT // 3, WIDTH // 3), "nearest", ""),
        ((HEIGHT * 7 // 3, WIDTH * 7 // 3 + 1), "nearest", ""),
    ],
)
def test_a_mask_must_have_its_images_size_or_shape(raw: Path, size: tuple[int, int], align: str, said: str) -> None:
    description = describe(**{**DESCRIPTION, "masks": {"encoding": "index", "align": align}})
    write_mask(raw, None, None, *size)
    bad = search_scenes(description, raw, file_digest)[1]
    assert [file.file for file in bad] == (["a.tif"] if said else [])
    assert not said or (said in bad[0].problem and bad[0].remedy)


def test_a_taken_mask_reads_pixel_by_pixel(raw: Path) -> None:
    description = describe(**DESCRIPTION)
    scene = find_scenes(description, raw, file_digest)[0]
    _, mask = SceneReader(description, raw).read(scene, 0, 0, HEIGHT, WIDTH)
    with rasterio.open(raw / "masks" / "a.tif") as file:
        np.testing.assert_array_equal(mask, file.read(1))
    assert raster_info(raw / "masks" / "a.tif").crs == UTM
