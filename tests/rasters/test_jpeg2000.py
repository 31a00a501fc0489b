"""JPEG 2000 as images: 8 and 16 bit, by window, with their place on Earth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from described import described, scenes_of
from made_data import blobs, picture, save
from satsynth.datasets.formats import ImageFormat, Scaling
from satsynth.rasters import opening
from satsynth.rasters.reading import RasterInfo, raster_info, read_image, read_raw_mask
from satsynth.work.errors import DataError

RNG = np.random.default_rng(4)
HEIGHT, WIDTH = 40, 50
RGB = picture(RNG, HEIGHT, WIDTH)
DEEP = RNG.integers(0, 4000, (HEIGHT, WIDTH, 4)).astype(np.uint16)
PLACE = from_origin(500_000, 4_000_000, 10, 10)
WINDOW, CUT = (7, 5, 20, 30), (slice(5, 35), slice(7, 27))


def write(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Write a file as Sentinel-2 products do, without loss unless the options say otherwise."""
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"} | options
    bands = pixels.reshape(*pixels.shape[:2], -1)
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        height=pixels.shape[0],
        width=pixels.shape[1],
        count=bands.shape[2],
        dtype=pixels.dtype,
        crs="EPSG:32633",
        transform=PLACE,
        **lossless,
    ) as file:
        file.write(np.moveaxis(bands, -1, 0))
    return path


def test_8_bit_images_are_read_by_window_with_their_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jp2", RGB)
    assert raster_info(path) == RasterInfo(HEIGHT, WIDTH, "EPSG:32633", tuple(PLACE)[:6])
    assert np.array_equal(read_image(path), RGB)
    assert np.array_equal(read_image(path, WINDOW), RGB[CUT])
    Image.fromarray(RGB).save(tmp_path / "b.jp2", irreversible=False)
    assert np.array_equal(read_image(tmp_path / "b.jp2"), RGB)


def test_16_bit_images_keep_their_depth(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jp2", DEEP)
    form = ImageFormat(bands=(3, 2, 1), scaling=Scaling(low=0, high=4000))
    assert np.abs(read_image(path, WINDOW, form) - DEEP[CUT][..., [2, 1, 0]] * (255 / 4000)).max() <= 0.501
    with pytest.raises(DataError, match="holds uint16 values, 2 % of them below"):
        read_image(path, form=ImageFormat(bands=(3, 2, 1)))


def test_masks_without_loss_are_read_and_others_refused(tmp_path: Path) -> None:
    ids = blobs(RNG, HEIGHT, WIDTH)
    assert np.array_equal(read_raw_mask(write(tmp_path / "a.jp2", ids), "index", WINDOW).values, ids[CUT])
    lossy = write(tmp_path / "b.jp2", ids, QUALITY="10", REVERSIBLE="NO")
    with pytest.raises(DataError, match="compressed with loss"):
        read_raw_mask(lossy, "index")


def test_without_the_driver_pillow_reads_8_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jp2"
    Image.fromarray(RGB).save(path, irreversible=False)
    monkeypatch.setattr(opening, "_has_jpeg2000", lambda: False)
    assert np.array_equal(read_image(path, WINDOW), RGB[CUT]) and raster_info(path) == RasterInfo(HEIGHT, WIDTH)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jp2", RGB)
    whole = path.read_bytes()
    for part in (b"", whole[:30], whole[:200], b"II*\0" * 50, b"<VRTDataset/>"):
        path.write_bytes(part)
        with pytest.raises(DataError, match=r"a\.jp2"):
            read_image(path)


def test_describe_finds_them_and_proposes_a_scaling(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "images").mkdir(exist_ok=True)
        write(tmp_path / f"images/t{number}.jp2", DEEP + np.uint16(number))
        save(tmp_path / f"masks/t{number}.png", blobs(RNG, HEIGHT, WIDTH))
    description, _ = described(tmp_path)
    assert description.images.scaling is not None and description.images.bands == (1, 2, 3)
    assert [scene.crs for scene in scenes_of(description, tmp_path)] == ["EPSG:32633"] * 4
