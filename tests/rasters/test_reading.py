from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import ColorInterp

from made_data import COLORS, blobs, paint, picture, save
from satsynth.rasters.land_sea_lake import read_land_sea_lake
from satsynth.rasters.palettes import differing_palettes
from satsynth.rasters.reading import (
    raster_info,
    read_image,
    read_raw_mask,
    reduce_image,
    reduce_mask,
)
from satsynth.work.errors import DataError

RNG = np.random.default_rng(5)
IMAGE = picture(RNG, 40, 60)
MASK = blobs(RNG, 40, 60)
shared_folder = hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_tiff(path: Path, bands: np.ndarray, **options: object) -> Path:
    count, height, width = bands.shape
    options.setdefault("transform", Affine(2, 0, 0, 0, -2, 0))
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **options
    ) as file:
        file.write(bands)
    return path


def palette_png(path: Path, indices: np.ndarray) -> Path:
    image = Image.fromarray(indices).convert("P")
    table = np.zeros((256, 3), np.uint8)
    for index, color in COLORS.items():
        table[index] = color
    image.putdata(indices.ravel().tolist())
    image.putpalette(table.ravel().tolist())
    image.save(path)
    return path


def test_png_pixels_and_windows_are_exact(tmp_path: Path) -> None:
    save(tmp_path / "a.png", IMAGE)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), IMAGE)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", (7, 3, 20, 11)), IMAGE[3:14, 7:27])
    info = raster_info(tmp_path / "a.png")
    assert (info.height, info.width, info.crs, info.transform) == (40, 60, None, None)


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    save(tmp_path / "a.png", IMAGE[..., 0])
    write_tiff(tmp_path / "a.tif", IMAGE[None, ..., 0])
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), np.repeat(IMAGE[..., :1], 3, axis=2))


def test_a_palette_mask_reads_as_colours_and_as_indices(tmp_path: Path) -> None:
    path = palette_png(tmp_path / "mask.png", MASK)
    with Image.open(path) as image:
        assert image.mode == "P"
    np.testing.assert_array_equal(read_raw_mask(path, "color").values, paint(MASK))
    np.testing.assert_array_equal(read_raw_mask(path, "index").values, MASK)
    np.testing.assert_array_equal(read_raw_mask(path, "index", (1, 2, 3, 4)).values, MASK[2:6, 1:4])


def test_masks_of_16_bit_ids_are_exact(tmp_path: Path) -> None:
    ids = (MASK.astype(np.uint16) * 257)[:8, :9]
    save(tmp_path / "mask.png", ids)
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "mask.png", "index").values, ids)


def test_a_mask_of_another_encoding_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    save(tmp_path / "color.png", paint(MASK))
    write_tiff(tmp_path / "index.tif", MASK[None])
    with pytest.raises(DataError, match=r"3 channels.*\n.*`masks\.encoding: color"):
        read_raw_mask(tmp_path / "color.png", "index")
    with pytest.raises(DataError, match=r"1 band.*\n.*`masks\.encoding: index"):
        read_raw_mask(tmp_path / "index.tif", "color")


@pytest.mark.parametrize(("encoding", "dtype"), [("index", np.float32), ("color", np.uint16)])
def test_masks_of_numbers_that_are_no_labels_are_refused(tmp_path: Path, encoding: str, dtype: type) -> None:
    values = np.repeat(MASK[None], 1 if encoding == "index" else 3, 0).astype(dtype)
    if encoding == "index":
        values += dtype(0.5)
    path = write_tiff(tmp_path / "mask.tif", values)
    with pytest.raises(DataError, match=f"holds {np.dtype(dtype)} values") as caught:
        read_raw_mask(path, encoding)
    assert "8-bit" in caught.value.remedy


@pytest.mark.parametrize("name", ["a.tif", "deep.png"])
def test_a_colour_mask_is_never_read_as_ids_by_its_first_band(tmp_path: Path, name: str) -> None:
    # As in iSAID: red is 0 everywhere, which is a valid id.
    colors = np.zeros((3, 20, 30), np.uint16 if name == "deep.png" else np.uint8)
    colors[2] = 127
    path = tmp_path / name
    with rasterio.open(
        path, "w", driver="PNG" if name == "deep.png" else "GTiff", count=3, height=20, width=30, dtype=colors.dtype,
        transform=rasterio.Affine(2, 0, 0, 0, -2, 0),
    ) as file:  # fmt: skip
        file.write(colors)
    with pytest.raises(DataError, match=r"has 3 bands, but `masks\.encoding` is `index`") as caught:
        read_raw_mask(path, "index")
    assert "`masks.encoding: color`" in caught.value.remedy


def test_transparency_of_a_mask_of_ids_is_left_alone(tmp_path: Path) -> None:
    alpha = np.full(MASK.shape, 200, np.uint8)
    Image.fromarray(np.dstack([MASK, alpha])).save(tmp_path / "la.png")
    write_tiff(tmp_path / "la.tif", np.stack([MASK, alpha]), alpha="YES", photometric="minisblack")
    for name in ("la.png", "la.tif"):
        np.testing.assert_array_equal(read_raw_mask(tmp_path / name, "index", (1, 2, 30, 20)).values, MASK[2:22, 1:31])


def test_bands_of_a_colour_mask_are_taken_by_the_names_that_the_file_gives_them(tmp_path: Path) -> None:
    bands = np.moveaxis(paint(MASK)[..., ::-1], -1, 0)
    path = write_tiff(tmp_path / "a.tif", bands, photometric="minisblack")
    np.testing.assert_array_equal(read_raw_mask(path, "color").values, paint(MASK)[..., ::-1])
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    np.testing.assert_array_equal(read_raw_mask(path, "color").values, paint(MASK))


def test_palettes_of_more_than_256_colours_are_read_by_theirs(tmp_path: Path) -> None:
    ids = (MASK.astype(np.uint16) % 3) * 300
    path = write_tiff(tmp_path / "a.tif", ids[None], photometric="palette")
    colors = {0: (1, 2, 3), 44: (9, 9, 9), 300: (7, 7, 8), 600: (200, 0, 5)}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, colors)
    wanted = np.select([(ids == value)[..., None] for value in colors], [np.array(c) for c in colors.values()])
    np.testing.assert_array_equal(read_raw_mask(path, "color").values, wanted)
    np.testing.assert_array_equal(read_raw_mask(path, "index").values, ids)


def test_palettes_are_compared_as_far_as_both_reach(tmp_path: Path) -> None:
    save(tmp_path / "grey.png", MASK)
    colors = {0: (1, 2, 3), 1: (9, 9, 9), 2: (7, 7, 8)}
    for name, own in (("a.tif", colors), ("b.tif", {**colors, 1: (9, 9, 0)})):
        path = write_tiff(tmp_path / name, MASK[None], photometric="palette")
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, own)
    short = Image.fromarray(MASK % 2).convert("P")
    short.putpalette([*colors[0], *colors[1]])
    short.save(tmp_path / "short.png")
    assert differing_palettes(tmp_path, ["grey.png", "a.tif", "short.png", "a.tif"]) is None
    assert differing_palettes(tmp_path, ["grey.png", "a.tif", "short.png", "b.tif"]) == ("a.tif", "b.tif", 1)
    assert differing_palettes(tmp_path, ["short.png", "b.tif"]) == ("short.png", "b.tif", 1)
    assert differing_palettes(tmp_path, []) is None


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({"compress": "jpeg"}, "JPEG"),
        ({"compress": "jpeg", "photometric": "ycbcr"}, "JPEG"),
        ({"compress": "webp"}, "WEBP"),
        ({"compress": "webp", "WEBP_LOSSLESS": "YES"}, ""),
        ({"compress": "lerc", "MAX_Z_ERROR": 2}, "LERC"),
        ({"compress": "lerc"}, ""),
        ({"compress": "zstd"}, ""),
        ({"compress": "lzma"}, ""),
    ],
    ids=str,
)
def test_masks_compressed_with_loss_are_refused_and_others_are_exact(
    tmp_path: Path, options: dict[str, object], how: str
) -> None:
    path = write_tiff(tmp_path / "a.tif", np.moveaxis(paint(MASK), -1, 0), **options)
    if not how:
        np.testing.assert_array_equal(read_raw_mask(path, "color").values, paint(MASK))
        return
    with pytest.raises(DataError, match=rf"is compressed with loss \({how}\)") as caught:
        read_raw_mask(path, "color")
    assert "Export the mask again as lossless PNG or TIFF" in caught.value.remedy


def test_webp_masks_are_taken_only_if_they_have_lost_nothing(tmp_path: Path) -> None:
    Image.fromarray(paint(MASK)).save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "a.webp", "color").values, paint(MASK))
    Image.fromarray(paint(MASK)).save(tmp_path / "b.webp", quality=90)
    with pytest.raises(DataError, match=r"is compressed with loss \(WebP\)"):
        read_raw_mask(tmp_path / "b.webp", "color")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_images_of_16_bit_are_refused(tmp_path: Path, name: str) -> None:
    deep = MASK.astype(np.uint16) * 200
    if name.endswith("png"):
        save(tmp_path / name, deep)
    else:
        write_tiff(tmp_path / name, deep[None])
    with pytest.raises(DataError, match=r"8.bit"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_missing_an_empty_and_a_foreign_file_say_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for read in (raster_info, read_image, lambda p: read_raw_mask(p, "index")):
        path.unlink(missing_ok=True)
        with pytest.raises(DataError, match=f"{name} is missing"):
            read(path)
        path.write_bytes(b"")
        with pytest.raises(DataError, match=rf"{name} is empty \(0 bytes\)"):
            read(path)
        path.write_text("This is no picture.")
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_half_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save(path, IMAGE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_image(path)


@given(share=st.floats(0, 1, exclude_max=True), name=st.sampled_from(["a.png", "a.jpg"]))
@shared_folder
def test_a_truncated_file_never_gives_other_pixels(tmp_path: Path, share: float, name: str) -> None:
    whole, part = tmp_path / name, tmp_path / f"part_{name}"
    save(whole, IMAGE)
    data = whole.read_bytes()
    part.unlink(missing_ok=True)
    part.write_bytes(data[: int(len(data) * share)])
    try:
        pixels = read_image(part)
    except DataError as error:
        assert str(part) in error.problem
    else:
        np.testing.assert_array_equal(pixels, read_image(whole))


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255), name=st.sampled_from(["a.png", "a.tif"]))
@shared_folder
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path: Path, place: float, value: int, name: str) -> None:
    whole = tmp_path / name
    save(whole, IMAGE)
    data = bytearray(whole.read_bytes())
    data[int(len(data) * place)] ^= value
    part = tmp_path / f"part_{name}"
    part.unlink(missing_ok=True)
    part.write_bytes(data)
    for read in (raster_info, read_image):
        try:
            read(part)
        except DataError as error:
            assert part.name in error.problem


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    save(tmp_path / "a.png", IMAGE)
    first = read_image(tmp_path / "a.png")
    save(tmp_path / "a.png", IMAGE[::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), first[::-1])


def test_a_geotiff_keeps_its_reference_and_gives_exact_windows(tmp_path: Path) -> None:
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000)
    bands = np.moveaxis(IMAGE, -1, 0)
    path = write_tiff(tmp_path / "a.tif", bands, crs="EPSG:32640", transform=transform)
    info = raster_info(path)
    assert (info.height, info.width, info.crs) == (40, 60, "EPSG:32640")
    assert info.transform == (0.5, 0, 500_000, 0, -0.5, 4_000_000)
    np.testing.assert_array_equal(read_image(path), IMAGE)
    np.testing.assert_array_equal(read_image(path, (7, 3, 20, 11)), IMAGE[3:14, 7:27])


def test_geotiff_masks_give_exact_windows_in_both_encodings(tmp_path: Path) -> None:
    ids = write_tiff(tmp_path / "ids.tif", MASK[None])
    colors = write_tiff(tmp_path / "colors.tif", np.moveaxis(paint(MASK), -1, 0))
    np.testing.assert_array_equal(read_raw_mask(ids, "index", (7, 3, 20, 11)).values, MASK[3:14, 7:27])
    np.testing.assert_array_equal(read_raw_mask(colors, "color", (7, 3, 20, 11)).values, paint(MASK)[3:14, 7:27])


def test_the_land_sea_lake_grid_is_turned_and_resampled(tmp_path: Path) -> None:
    grid = np.random.default_rng(0).integers(0, 3, (6, 12)).astype(np.uint8)
    path = tmp_path / "mask.bin"
    path.write_bytes(gzip.compress(grid[::-1].tobytes()))
    np.testing.assert_array_equal(read_land_sea_lake(path, 6, 12), grid)
    np.testing.assert_array_equal(read_land_sea_lake(path, 12, 24), np.kron(grid, np.ones((2, 2), np.uint8)))


def test_a_damaged_land_sea_lake_grid_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(np.zeros((6, 12), np.uint8).tobytes() + bytes(range(200)))
    damaged = bytearray(whole)
    damaged[12] ^= 0xFF
    for number, data in enumerate((b"", b"no gzip", whole[:-9], bytes(damaged), gzip.compress(bytes(70)))):
        path = tmp_path / f"mask{number}.bin"
        path.write_bytes(data)
        with pytest.raises(DataError, match=path.name):
            read_land_sea_lake(path, 6, 12)
    with pytest.raises(DataError, match="missing"):
        read_land_sea_lake(tmp_path / "absent.bin", 6, 12)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_images_are_reduced_by_area(factor: int, height: int, width: int, seed: int) -> None:
    image = picture(np.random.default_rng(seed), height * factor, width * factor)
    blocks = image.reshape(height, factor, width, factor, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(reduce_image(image, height, width) - blocks).max() <= 0.5 + 1e-6


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_masks_are_never_interpolated(height: int, width: int, data: st.DataObject) -> None:
    small = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    places = np.arange(height * width).reshape(height, width)
    reduced = reduce_mask(places, *small)
    assert reduced.shape == small
    y, x = np.divmod(reduced, width)
    assert np.abs((y + 0.5) / height - (np.arange(small[0])[:, None] + 0.5) / small[0]).max() <= 0.5 / height + 1e-9
    assert np.abs((x + 0.5) / width - (np.arange(small[1]) + 0.5) / small[1]).max() <= 0.5 / width + 1e-9


def test_full_size_changes_nothing() -> None:
    np.testing.assert_array_equal(reduce_image(IMAGE, 40, 60), IMAGE)
    np.testing.assert_array_equal(reduce_mask(MASK, 40, 60), MASK)
