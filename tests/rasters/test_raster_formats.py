"""Formats of rasters: pixels are read correctly from every common way of storing them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import ColorInterp, Resampling

from made_data import COLORS, MadeData, blobs, describe, make_data, paint, picture, save
from satsynth.datasets.description import KeepSettings
from satsynth.datasets.formats import ImageFormat, Scaling
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.tiling import cut_pairs, plan
from satsynth.rasters import pictures
from satsynth.rasters.cache import RasterCache
from satsynth.rasters.reading import PLAIN, raster_info, read_image, read_raw_mask, read_valid, scaled
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX

RNG = np.random.default_rng(8)
IMAGE = picture(RNG, 70, 90)
MASK = blobs(RNG, 70, 90)
WINDOW = (13, 5, 40, 33)
CUT = np.s_[5:38, 13:53]
DEEP = RNG.integers(0, 4000, (70, 90, 3)).astype(np.uint16)


def write(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Write ``(H, W, C)`` as GeoTIFF."""
    colors = options.pop("colorinterp", None)
    options.setdefault("transform", Affine(0.5, 0, 5e5, 0, -0.5, 4e6))
    height, width, count = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype, **options}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.moveaxis(pixels, -1, 0))
        if colors is not None:
            file.colorinterp = colors
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compress": "deflate", "predictor": 2},
        {"compress": "lzw", "interleave": "pixel"},
        {"interleave": "band", "compress": "deflate"},
        {"tiled": True, "blockxsize": 32, "blockysize": 16},
        {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "zstd", "interleave": "band"},
        {"blockysize": 7},
        {"BIGTIFF": "YES"},
        {"photometric": "RGB"},
    ],
    ids=str,
)
def test_tiffs_of_every_structure_give_exact_pixels_and_windows(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.tif", IMAGE, **options)
    np.testing.assert_array_equal(read_image(path), IMAGE)
    np.testing.assert_array_equal(read_image(path, WINDOW), IMAGE[CUT])
    assert read_valid(path, WINDOW) is None


def test_overviews_change_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", IMAGE, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)
    np.testing.assert_array_equal(read_image(path), IMAGE)
    assert (raster_info(path).height, raster_info(path).width) == (70, 90)


@pytest.mark.parametrize("name", ["A.PNG", "A.TIF", "A.tiff", "a b.png", "Åre – Süd.png", "空.tif"])
def test_names_of_all_kinds_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save(path, IMAGE)
    np.testing.assert_array_equal(read_image(path, WINDOW), IMAGE[CUT])


def test_a_data_set_of_mixed_formats_sizes_and_names_becomes_tiles(tmp_path: Path) -> None:
    layout = {
        **describe().layout.model_dump(),
        "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.(?:png|jpg|tif)",
        "mask": "{group}/masks/{name}.png",
    }
    made = make_data(tmp_path, layout=layout)
    images = made.raw / "north" / "images"
    (images / "a.png").rename(images / "a.PNG")
    (made.raw / "north" / "masks" / "a.png").rename(made.raw / "north" / "masks" / "a.Png")
    (images / "b.png").unlink()
    write(images / "b.TIF", made.images["north/b"], tiled=True, blockxsize=16, blockysize=16)
    for kind in ("images", "masks"):
        (made.raw / "south" / kind / "a.png").rename(made.raw / "south" / kind / "Zürich 1.png")
    scenes = made.scenes()
    check_scenes(scenes, made.reader(), workers=2)
    wanted = {**made.images, "south/Zürich 1": made.images["south/a"]}
    settings = TilingSettings(tile_size=32, stride=32, keep=KeepSettings(max_ignore=1))
    pairs = list(
        cut_pairs([cut for cut in plan(scenes, settings) if cut.scene.split == "train"], made.reader(), settings)
    )
    assert {pair.scene_id for pair in pairs} == {"north/a", "north/b", "south/Zürich 1"}
    for pair in pairs:
        place = np.s_[pair.row : pair.row + 32, pair.col : pair.col + 32]
        np.testing.assert_array_equal(pair.image, wanted[pair.scene_id][place])


def test_palette_pictures_and_tiffs_read_by_their_colours(tmp_path: Path) -> None:
    table = np.zeros((256, 3), np.uint8)
    for index, color in COLORS.items():
        table[index] = color
    image = Image.fromarray(MASK).convert("P")
    image.putdata(MASK.ravel().tolist())
    image.putpalette(table.ravel().tolist())
    image.save(tmp_path / "a.png")
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=1, height=70, width=90, dtype="uint8", photometric="palette",
        transform=Affine(2, 0, 0, 0, -2, 0),
    ) as file:  # fmt: skip
        file.write(MASK, 1)
        file.write_colormap(1, {index: tuple(color) for index, color in enumerate(table.tolist())})
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name, WINDOW), table[MASK][CUT])
        np.testing.assert_array_equal(read_raw_mask(tmp_path / name, "color", WINDOW).values, paint(MASK)[CUT])
        np.testing.assert_array_equal(read_raw_mask(tmp_path / name, "index", WINDOW).values, MASK[CUT])


def test_deep_images_are_refused_with_a_scaling_to_copy(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "color.png"), DEEP[..., ::-1])
    for path in (write(tmp_path / "a.tif", DEEP), tmp_path / "color.png"):
        with pytest.raises(
            DataError, match=r"holds uint16 values, 2 % of them below [\d.]+ and 2 % above [\d.]+"
        ) as caught:
            read_image(path)
        assert "`images: {scaling: {low: " in caught.value.remedy
    low, high = np.percentile(DEEP, (2, 98))
    assert f"below {low:g} and 2 % above {high:g}" in caught.value.problem


@pytest.mark.parametrize("scaling", [Scaling(low=100, high=3000), Scaling(low=(0, 50, 100), high=(4000, 3000, 2000))])
def test_deep_images_of_all_formats_read_by_their_scaling(tmp_path: Path, scaling: Scaling) -> None:
    cv2.imwrite(str(tmp_path / "color.png"), DEEP[..., ::-1])
    low, high = np.broadcast_to(scaling.low, 3), np.broadcast_to(scaling.high, 3)
    wanted = np.rint(np.clip((DEEP - low) / (high - low), 0, 1) * 255)
    form, decoded = ImageFormat(scaling=scaling), RasterCache(2)
    paths = [
        write(tmp_path / "a.tif", DEEP),
        write(tmp_path / "b.tif", DEEP.astype(np.float32)),
        write(tmp_path / "c.tif", DEEP.astype(np.int16)),
        tmp_path / "color.png",
    ]
    for path in paths:
        found = read_image(path, WINDOW, form, decoded)
        assert found.dtype == np.uint8
        # Values halfway between two integers may be rounded either way.
        assert np.abs(found.astype(int) - wanted[CUT]).max() <= 1
        assert (found == wanted[CUT]).mean() > 0.99


@given(st.floats(-1e4, 1e4), st.floats(1e-2, 1e4), st.integers(0, 255))
def test_scaling_takes_its_limits_to_0_and_255_and_keeps_the_order(low: float, span: float, level: int) -> None:
    scaling = Scaling(low=low, high=low + span)
    values = np.array([low - span, low, low + span * level / 255, low + span, low + 3 * span, np.nan, np.inf, -np.inf])
    found = scaled(np.repeat(values[None, :, None], 3, axis=2), scaling)[0, :, 0]
    assert found[[0, 1, 5, 7]].tolist() == [0, 0, 0, 0] and found[[3, 4, 6]].tolist() == [255, 255, 255]
    assert abs(int(found[2]) - level) <= 1 + 1e-3 * abs(low) / span


def test_grey_deep_images_and_one_named_band_become_grey(tmp_path: Path) -> None:
    save(tmp_path / "grey.png", DEEP[..., 0])
    form = ImageFormat(scaling=Scaling(low=0, high=4080))
    np.testing.assert_array_equal(
        read_image(tmp_path / "grey.png", None, form), np.rint(DEEP[..., :1] / 16).repeat(3, 2)
    )
    path = write(tmp_path / "a.tif", IMAGE)
    np.testing.assert_array_equal(read_image(path, None, ImageFormat(bands=(2,))), IMAGE[..., 1:2].repeat(3, 2))
    save(tmp_path / "a.png", IMAGE)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", None, ImageFormat(bands=(3, 2, 1))), IMAGE[..., ::-1])


def test_a_list_of_bands_picks_from_many(tmp_path: Path) -> None:
    many = RNG.integers(0, 256, (70, 90, 6)).astype(np.uint8)
    path = write(tmp_path / "a.tif", many, photometric="minisblack")
    with pytest.raises(DataError, match="has 6 bands and does not say which are red, green and blue") as caught:
        read_image(path)
    assert "images: {bands: [1, 2, 3]}" in caught.value.remedy
    np.testing.assert_array_equal(read_image(path, WINDOW, ImageFormat(bands=(6, 1, 3))), many[..., [5, 0, 2]][CUT])
    for file in (path, tmp_path / "a.png"):
        save(tmp_path / "a.png", IMAGE)
        with pytest.raises(DataError, match=r"`images\.bands` asks for band 7"):
            read_image(file, None, ImageFormat(bands=(7, 1, 1)))


def test_bands_that_the_file_names_are_taken_by_name(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (70, 90, 4)).astype(np.uint8)
    names = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined]
    path = write(tmp_path / "a.tif", pixels, colorinterp=names, photometric="minisblack")
    np.testing.assert_array_equal(read_image(path), pixels[..., [2, 1, 0]])


def pierced(path: Path, form: ImageFormat = PLAIN) -> np.ndarray | None:
    valid = read_valid(path, WINDOW, form, RasterCache(2))
    return None if valid is None else ~valid


HOLE = np.zeros((70, 90), bool)
HOLE[10:20, 15:25] = True


def test_transparent_pixels_of_pictures_are_no_data(tmp_path: Path) -> None:
    alpha = np.where(HOLE, 0, 200).astype(np.uint8)
    save(tmp_path / "rgba.png", np.dstack([IMAGE, alpha]))
    Image.fromarray(np.dstack([IMAGE[..., 0], alpha])).save(tmp_path / "la.png")
    keyed = np.where(HOLE, 7, np.maximum(IMAGE[..., 0], 8)).astype(np.uint8)
    Image.fromarray(keyed).save(tmp_path / "key.png", transparency=7)
    write(tmp_path / "rgba.tif", np.dstack([IMAGE, alpha]))
    write(tmp_path / "la.tif", np.dstack([IMAGE[..., 0], alpha]), alpha="YES", photometric="minisblack")
    for name in ("rgba.png", "la.png", "key.png", "rgba.tif", "la.tif"):
        np.testing.assert_array_equal(pierced(tmp_path / name), HOLE[CUT], err_msg=name)
    for name in ("rgba.png", "rgba.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), IMAGE)
    save(tmp_path / "rgb.png", IMAGE)
    assert pierced(tmp_path / "rgb.png") is None


def test_nodata_is_where_all_shown_bands_hold_it(tmp_path: Path) -> None:
    pixels = np.maximum(IMAGE, 1)
    pixels[HOLE] = 0
    pixels[40, 40] = (0, 9, 9)
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    np.testing.assert_array_equal(pierced(path), HOLE[CUT])
    red = HOLE.copy()
    red[40, 40] = True
    np.testing.assert_array_equal(pierced(path, ImageFormat(bands=(1,))), red[CUT])


def test_nan_and_nodata_of_floats_are_no_data(tmp_path: Path) -> None:
    pixels = IMAGE.astype(np.float32)
    pixels[HOLE] = np.nan
    pixels[30, 30:33] = -9999
    wanted = HOLE.copy()
    np.testing.assert_array_equal(pierced(write(tmp_path / "nan.tif", pixels)), wanted[CUT])
    wanted[30, 30:33] = True
    np.testing.assert_array_equal(pierced(write(tmp_path / "both.tif", pixels, nodata=-9999)), wanted[CUT])


@pytest.fixture
def holed(tmp_path: Path) -> MadeData:
    """A data set with one partly transparent image."""
    made = make_data(tmp_path / "raw")
    image = made.images["north/a"]
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[3:40, 5:9] = 0
    save(made.raw / "north" / "images" / "a.png", np.dstack([image, alpha]))
    return made


def test_no_data_of_an_image_is_ignored_in_its_mask(holed: MadeData) -> None:
    scene = next(scene for scene in holed.scenes() if scene.scene_id == "north/a")
    image, mask = holed.reader().read(scene, 0, 0, scene.height, scene.width)
    wanted = holed.masks["north/a"].copy()
    assert (wanted[3:40, 5:9] != IGNORE_INDEX).any()
    wanted[3:40, 5:9] = IGNORE_INDEX
    np.testing.assert_array_equal(mask, wanted)
    np.testing.assert_array_equal(image, holed.images["north/a"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(tmp_path: Path, orientation: int) -> None:
    smooth = cv2.resize(IMAGE[:7, :9], (90, 70), interpolation=cv2.INTER_LINEAR)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth).save(path, quality=95, exif=exif)
    turns = {3: (2, 0), 6: (3, 0), 8: (1, 0), 2: (0, 1), 4: (2, 1), 5: (1, 1), 7: (3, 1)}
    quarter, flip = turns.get(orientation, (0, 0))
    upright = np.rot90(smooth, quarter)
    upright = upright[:, ::-1] if flip and orientation in (2, 4) else upright[::-1] if flip else upright
    found = read_image(path)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 4
    assert (raster_info(path).height, raster_info(path).width) == found.shape[:2]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_pictures_that_say_how_they_are_turned_stand_upright_and_so_do_their_masks(
    tmp_path: Path, name: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(IMAGE).save(tmp_path / name, exif=exif, **options)
    Image.fromarray(paint(MASK)).save(tmp_path / f"mask_{name}", exif=exif, **options)
    quarter = {3: 2, 6: 3}[orientation]
    np.testing.assert_array_equal(read_image(tmp_path / name), np.rot90(IMAGE, quarter))
    np.testing.assert_array_equal(
        read_raw_mask(tmp_path / f"mask_{name}", "color").values, np.rot90(paint(MASK), quarter)
    )
    info = raster_info(tmp_path / name)
    assert (info.height, info.width) == np.rot90(IMAGE, quarter).shape[:2]


def test_what_gdal_reads_and_would_not_turn_is_refused(tmp_path: Path) -> None:
    for orientation in (1, 3, 6):
        Image.fromarray(IMAGE).save(tmp_path / f"{orientation}.tif", tiffinfo={0x0112: orientation})
    np.testing.assert_array_equal(read_image(tmp_path / "1.tif"), IMAGE)
    for orientation in (3, 6):
        for read in (raster_info, read_image, lambda path: read_raw_mask(path, "color")):
            with pytest.raises(DataError, match=rf"is not upright \(EXIF orientation {orientation}\)") as caught:
                read(tmp_path / f"{orientation}.tif")
            assert "-auto-orient" in caught.value.remedy


def test_colour_masks_of_16_bit_are_refused_and_not_cut_to_8(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), paint(MASK)[..., ::-1].astype(np.uint16) * 257)
    with pytest.raises(DataError, match="holds uint16 values; colours must be 8 bit"):
        read_raw_mask(tmp_path / "mask.png", "color")


def test_a_tiff_of_one_gigantic_tile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 40_000, "width": 40_000, "dtype": "uint8"}
    place = Affine(2, 0, 0, 0, -2, 0)
    with rasterio.open(
        path, "w", **profile, transform=place, tiled=True, blockxsize=40_000, blockysize=40_000, sparse_ok=True
    ):
        pass
    with pytest.raises(DataError, match=r"1,600 million must be decoded at once") as caught:
        raster_info(path)
    assert "TILED=YES" in caught.value.remedy


def test_threads_that_ask_for_one_picture_decode_it_once(tmp_path: Path) -> None:
    save(tmp_path / "a.png", IMAGE)
    decoded, calls = RasterCache(1), []

    def slow() -> np.ndarray:
        calls.append(1)
        sleep(0.05)
        return IMAGE

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: decoded.get(tmp_path / "a.png", "image", slow), range(8)))
    assert len(calls) == 1 and all(array is IMAGE for array in found)
    decoded.get(tmp_path / "a.png", "mask", lambda: MASK)
    decoded.get(tmp_path / "a.png", "image", slow)
    assert len(calls) == 2, "only one raster was to be kept"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_large_pictures_are_copied_in_bands_without_a_change(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(IMAGE).convert(mode).save(tmp_path / "a.png")
    whole, mask = pictures.decode_image(tmp_path / "a.png"), pictures.decode_mask(tmp_path / "a.png", "index")
    monkeypatch.setattr(pictures, "_BAND", 90 * 11)
    np.testing.assert_array_equal(pictures.decode_image(tmp_path / "a.png"), whole)
    found = pictures.decode_mask(tmp_path / "a.png", "index")
    assert found.dtype == mask.dtype
    np.testing.assert_array_equal(found, mask)


def test_the_reader_decodes_a_picture_once_for_all_windows(made: MadeData, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    load = pictures._load

    def counted(image: Image.Image, path: Path) -> Image.Image:
        calls.append(path)
        return load(image, path)

    scenes = [scene for scene in made.scenes() if scene.scene_id == "north/a"]
    monkeypatch.setattr(pictures, "_load", counted)
    reader = SceneReader(made.description, made.raw)
    for left in range(0, 60, 10):
        reader.read(scenes[0], 0, left, 10, 10)
    assert len(calls) == 2
