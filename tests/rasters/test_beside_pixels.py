"""What a file says beside its pixels (alpha, nodata, NaN, depth) decides which pixels are ignored, and only those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp

from described import described
from made_data import CLASSES, describe, save
from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.formats import ImageFormat
from satsynth.rasters.reading import PLAIN, alpha_holds_data, raster_info, read_image, read_valid
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX

RNG = np.random.default_rng(5)
HEIGHT, WIDTH = 40, 50
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
WATER = np.zeros((HEIGHT, WIDTH), bool)
WATER[:, 20:] = True
IDS = np.repeat(np.arange(10) % 3, 5)[None].repeat(HEIGHT, 0).astype(np.uint8)
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[3:9, 4:33] = True
COLORS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)


def tiff(path: Path, bands: np.ndarray, **options: Any) -> Path:
    """Write ``(H, W)`` or ``(H, W, C)`` as GeoTIFF, whose fourth band of 8 bit is alpha by default."""
    colors, mask = options.pop("colors", None), options.pop("mask", None)
    bands = bands if bands.ndim == 3 else bands[..., None]
    options = {"transform": Affine(1, 0, 1000, 0, -1, 9000), **options}
    profile = {"driver": "GTiff", "count": bands.shape[2], "height": HEIGHT, "width": WIDTH, "dtype": bands.dtype}
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(np.moveaxis(bands, -1, 0))
        if colors:
            file.colorinterp = colors
        if mask is not None:
            file.write_mask(mask)
    return path


def infrared(dtype: type = np.uint8) -> np.ndarray:
    """Return near infrared, in which deep water is 0."""
    top = np.iinfo(dtype).max
    return np.where(WATER, 0, RNG.integers(30, top, (HEIGHT, WIDTH))).astype(dtype)


def test_near_infrared_under_the_name_of_alpha_hides_no_water(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        path = tiff(tmp_path / "rgbn.tif", np.dstack([RGB.astype(dtype), infrared(dtype)]), colors=RGBA)
        assert alpha_holds_data(path) and read_valid(path) is None and read_valid(path, (3, 5, 40, 20)) is None
    save(tmp_path / "rgbn.png", np.dstack([RGB, infrared()]))
    assert alpha_holds_data(tmp_path / "rgbn.png") and read_valid(tmp_path / "rgbn.png") is None


RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


@pytest.mark.parametrize("kind", ["elevation", "few levels of it", "another order"])
def test_other_data_in_a_fourth_band_hide_nothing(tmp_path: Path, kind: str) -> None:
    height = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    band = (height // 8 * 8 if kind == "few levels of it" else height).astype(np.uint8)
    order = [3, 0, 1, 2] if kind == "another order" else [0, 1, 2, 3]
    path = tiff(tmp_path / "a.tif", np.dstack([RGB, band])[..., order], colors=[RGBA[place] for place in order])
    assert (band == 0).any() and read_valid(path) is None
    np.testing.assert_array_equal(read_image(path), RGB)


@pytest.mark.parametrize("kind", ["0 and 255", "0 and 200", "soft border", "all clear", "0 and 65535"])
def test_transparency_hides_what_it_calls_transparent(tmp_path: Path, kind: str) -> None:
    alpha = np.where(HOLE, 0, 200 if kind == "0 and 200" else 255).astype(np.uint8)
    if kind == "soft border":
        alpha[20] = np.arange(WIDTH) * 5 + 3
    if kind == "all clear":
        alpha[:] = 0
    wanted = alpha > 0
    if kind == "0 and 65535":
        path = tiff(tmp_path / "a.tif", np.dstack([RGB, alpha]).astype(np.uint16) * 257, colors=RGBA)
    else:
        path = tiff(tmp_path / "a.tif", np.dstack([RGB, alpha]))
        save(tmp_path / "a.png", np.dstack([RGB, alpha]))
        np.testing.assert_array_equal(read_valid(tmp_path / "a.png"), wanted)
    assert alpha_holds_data(path) is False
    np.testing.assert_array_equal(read_valid(path), wanted)
    np.testing.assert_array_equal(read_valid(path, (2, 1, 30, 20)), wanted[1:21, 2:32])


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_list_of_bands_decides_whether_there_is_an_alpha(tmp_path: Path, name: str) -> None:
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    for band in (alpha, infrared()):
        if name == "a.tif":
            tiff(tmp_path / name, np.dstack([RGB, band]))
        else:
            save(tmp_path / name, np.dstack([RGB, band]))
        for form in (ImageFormat(bands=(1, 2, 3)), ImageFormat(bands=(4, 3, 2)), ImageFormat(bands=(2,))):
            assert read_valid(tmp_path / name, None, form) is None
        named = ImageFormat(bands=(3, 2, 1, 4))
        np.testing.assert_array_equal(read_valid(tmp_path / name, None, named), band > 0)
        np.testing.assert_array_equal(read_image(tmp_path / name, None, named), RGB[..., ::-1])
        infra = read_image(tmp_path / name, None, ImageFormat(bands=(4, 1, 2)))
        np.testing.assert_array_equal(infra, np.dstack([band, RGB[..., :2]]))
        with pytest.raises(DataError, match=r"`images\.bands` asks for band 5"):
            read_image(tmp_path / name, None, ImageFormat(bands=(5, 1, 2)))


def test_a_mask_band_beside_a_list_of_bands_still_counts(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", RGB, mask=~HOLE)
    for form in (PLAIN, ImageFormat(bands=(1, 2, 3))):
        np.testing.assert_array_equal(read_valid(path, None, form), ~HOLE)


# ---- masks


def mask_of(path: Path, encoding: str, ignore: tuple[Any, ...] = (), **masks: Any) -> np.ndarray:
    """Return class indices: ids 0, 1, 2, or black, red and green, are the classes 0, 1, 2."""
    raws = ["#000000", "#FF0000", "#00FF00"] if encoding == "color" else [0, 1, 2]
    classes = [{**spec, "raw": raw} for spec, raw in zip(CLASSES, raws, strict=True)]
    description: DatasetDescription = describe(
        masks={"encoding": encoding, **masks}, classes=classes, ignore=list(ignore)
    )
    reader = SceneReader(description, path.parent)
    info = raster_info(path)
    whole = reader.indices(reader.raw_mask(path.name, info))
    part = reader.indices(reader.raw_mask(path.name, info, (7, 2, 30, 11)))
    np.testing.assert_array_equal(part, whole[2:13, 7:37])
    assert reader.unknown(reader.raw_mask(path.name, info), 0) == {}
    return whole


HOLED = np.where(HOLE, IGNORE_INDEX, IDS).astype(np.uint8)


def transparent_mask(path: Path, kind: str) -> str:
    """Write a mask whose hole is transparent and black beneath; return its encoding."""
    colors = np.where(HOLE[..., None], 0, COLORS[IDS]).astype(np.uint8)
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    ids = np.where(HOLE, 0, IDS).astype(np.uint8)
    if kind == "RGBA TIFF":
        tiff(path, np.dstack([colors, alpha]))
    elif kind == "ids and alpha TIFF":
        tiff(path, np.dstack([ids, alpha]), alpha="YES", photometric="minisblack")
    elif kind == "ids and mask band TIFF":
        tiff(path, ids, mask=~HOLE)
    elif kind == "LA":
        Image.fromarray(np.dstack([ids, alpha])).save(path)
    elif kind == "half transparent":
        Image.fromarray(np.dstack([colors, np.where(HOLE, 0, 99).astype(np.uint8)])).save(path)
    elif kind == "palette":
        image = Image.fromarray(np.where(HOLE, 3, IDS).astype(np.uint8)).convert("P")
        image.putdata(np.where(HOLE, 3, IDS).ravel().tolist())
        image.putpalette([*COLORS.ravel().tolist(), 0, 0, 0])
        image.save(path, transparency=3)
    elif kind == "key":
        keyed = np.where(HOLE[..., None], np.array([9, 9, 9]), colors).astype(np.uint8)
        Image.fromarray(keyed).save(path, transparency=(9, 9, 9))
    elif kind == "key of ids":
        Image.fromarray(np.where(HOLE, 9, IDS).astype(np.uint8)).save(path, transparency=9)
    elif kind == "key of deep ids":
        Image.fromarray(np.where(HOLE, 999, IDS.astype(np.uint16))).save(path, transparency=999)
    else:
        Image.fromarray(np.dstack([colors, alpha])).save(path, lossless=True)
    return "index" if "ids" in kind or kind == "LA" else "color"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m.png", "RGBA"), ("m.webp", "RGBA"), ("m.tif", "RGBA TIFF"), ("m.png", "palette"), ("m.png", "key"),
        ("m.png", "LA"), ("m.png", "half transparent"), ("m.tif", "ids and alpha TIFF"), ("m.png", "key of ids"),
        ("m.tif", "ids and mask band TIFF"), ("m.png", "key of deep ids"),
    ],
)  # fmt: skip
def test_transparent_pixels_of_masks_belong_to_no_class(tmp_path: Path, name: str, kind: str) -> None:
    encoding = transparent_mask(tmp_path / name, kind)
    np.testing.assert_array_equal(mask_of(tmp_path / name, encoding), HOLED)
    if "key" not in kind:
        kept = mask_of(tmp_path / name, encoding, transparent="keep")
        np.testing.assert_array_equal(kept, np.where(HOLE, 0, IDS))


@pytest.mark.parametrize(
    ("dtype", "value", "tagged"),
    [
        (np.uint16, 65535, True), (np.int16, -9999, True), (np.int8, -1, True), (np.uint8, 255, True),
        (np.float32, -9999, True), (np.float32, np.nan, True), (np.float32, np.nan, False),
        (np.float64, -3.4028234663852886e38, True), (np.int32, -2147483648, True), (np.uint32, 4294967295, True),
    ],
)  # fmt: skip
def test_the_nodata_value_of_a_mask_is_no_class(tmp_path: Path, dtype: type, value: float, tagged: bool) -> None:
    values = IDS.astype(dtype)
    values[HOLE] = value
    tiff(tmp_path / "m.tif", values, **({"nodata": value} if tagged else {}))
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif", "index"), HOLED)


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.int16, -9999), (np.int8, -1), (np.float32, -9999), (np.uint32, 4294967295), (np.int64, -7)]
)
def test_a_value_without_a_tag_can_be_ignored_by_name(tmp_path: Path, dtype: type, value: int) -> None:
    values = IDS.astype(dtype)
    values[HOLE] = value
    tiff(tmp_path / "m.tif", values)
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif", "index", ignore=(value,)), HOLED)


def test_a_nodata_value_that_the_description_calls_a_class_is_that_class(tmp_path: Path) -> None:
    tiff(tmp_path / "m.tif", IDS, nodata=0)
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif", "index"), IDS)
    np.testing.assert_array_equal(
        mask_of(tiff(tmp_path / "c.tif", COLORS[IDS], nodata=0, photometric="RGB"), "color"), IDS
    )


def test_fractions_are_no_ids_and_are_found_in_any_window(tmp_path: Path) -> None:
    values = IDS.astype(np.float32)
    values[11, 13] = 1.5
    path = tiff(tmp_path / "m.tif", values, nodata=-9999)
    reader = SceneReader(describe(masks={"encoding": "index"}, classes=by_id(), ignore=[]), tmp_path)
    for window in (None, (10, 9, 20, 20)):
        with pytest.raises(DataError, match=r"in 1 pixel\(s\), first 1\.5 at x=13, y=11; class ids must be") as caught:
            reader.raw_mask("m.tif", raster_info(path), window)
        assert "-ot Byte" not in caught.value.remedy


def by_id() -> list[dict[str, Any]]:
    return [{**spec, "raw": number} for number, spec in enumerate(CLASSES)]


# ---- depth


def grey_png(path: Path, levels: np.ndarray, bits: int) -> None:
    """Write levels of a grey PNG of 1, 2, 4, 8 or 16 bit by hand, since Pillow writes few of them."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    digits = (levels[..., None] >> np.arange(bits - 1, -1, -1) & 1).reshape(len(levels), -1).astype(np.uint8)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in digits)
    header = struct.pack(">IIBBBBB", levels.shape[1], len(levels), bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_black_and_white_is_0_and_255_at_any_depth(tmp_path: Path, bits: int) -> None:
    truth = IDS > 1
    grey_png(tmp_path / "m.png", truth.astype(np.int64) * ((1 << bits) - 1), bits)
    reader = SceneReader(describe(masks={"encoding": "index"}, classes=by_id(), ignore=[]), tmp_path)
    raw = reader.raw_mask("m.png", raster_info(tmp_path / "m.png")).values
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(raw, np.where(truth, 255, 0))


def test_describe_and_ingestion_agree_on_masks_of_all_depths_together(tmp_path: Path) -> None:
    truth = {}
    for number in range(9):
        blocks = RNG.integers(0, 2, (HEIGHT, WIDTH))
        save(tmp_path / "images" / f"s{number}.png", RGB)
        bits = (1, 8, 4)[number % 3]
        grey_png(tmp_path / "masks" / f"s{number}.png", blocks * ((1 << bits) - 1), bits)
        truth[f"s{number}.png"] = blocks
    description, _ = described(tmp_path)
    assert [c.raw for c in description.classes] == [0, 255] and description.ignore == ()
    reader = SceneReader(description, tmp_path)
    for name, blocks in truth.items():
        found = reader.indices(reader.raw_mask(f"masks/{name}", raster_info(tmp_path / "images" / name)))
        np.testing.assert_array_equal(found, blocks)


def test_ids_of_16_bit_are_read_alike_by_both(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "images" / f"s{number}.png", RGB)
        grey_png(tmp_path / "masks" / f"s{number}.png", IDS.astype(np.int64) * 1000, 16)
    description, _ = described(tmp_path)
    assert [c.raw for c in description.classes] == [0, 1000, 2000]
    reader = SceneReader(description, tmp_path)
    found = reader.indices(reader.raw_mask("masks/s0.png", raster_info(tmp_path / "images/s0.png")))
    np.testing.assert_array_equal(found, IDS)


def test_foreground_of_another_scale_is_no_ignored_value(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "images" / f"s{number}.png", RGB)
        save(tmp_path / "masks" / f"s{number}.png", ((IDS > 1) * (255 if number % 2 else 1)).astype(np.uint8))
    description, text = described(tmp_path)
    assert [c.raw for c in description.classes] == [0, 1, 255] and description.ignore == ()
    assert "3 mask(s) hold only 0 and 255" in " ".join(text.split("\n# ")).replace("  ", " ")


# ---- describe on what files say


@pytest.mark.parametrize(
    ("dtype", "value", "tagged", "ignore"),
    [
        (np.uint16, 65535, True, (65535,)), (np.int16, -9999, False, (-9999,)), (np.int8, -1, True, (-1,)),
        (np.float32, np.nan, False, ()), (np.float32, -9999, True, ()), (np.uint8, 7, True, (7,)),
    ],
)  # fmt: skip
def test_what_describe_proposes_for_nodata_is_what_ingestion_reads(
    tmp_path: Path, dtype: type, value: float, tagged: bool, ignore: tuple[int, ...]
) -> None:
    values = IDS.astype(dtype)
    values[HOLE] = value
    for number in range(4):
        save(tmp_path / "images" / f"s{number}.png", RGB)
        (tmp_path / "masks").mkdir(exist_ok=True)
        tiff(tmp_path / "masks" / f"s{number}.tif", values, **({"nodata": value} if tagged else {}))
    description, _ = described(tmp_path)
    assert [c.raw for c in description.classes] == [0, 1, 2] and description.ignore == ignore
    reader = SceneReader(description, tmp_path)
    raw = reader.raw_mask("masks/s1.tif", raster_info(tmp_path / "images/s1.png"))
    np.testing.assert_array_equal(reader.indices(raw), HOLED)


def test_describe_says_which_share_is_transparent_and_keeps_what_would_leave_one_class(tmp_path: Path) -> None:
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    for number in range(4):
        save(tmp_path / "two" / "images" / f"s{number}.png", RGB)
        save(tmp_path / "two" / "masks" / f"s{number}.png", np.dstack([COLORS[np.where(HOLE, 0, 1)], alpha]))
        save(tmp_path / "more" / "images" / f"s{number}.png", RGB)
        save(tmp_path / "more" / "masks" / f"s{number}.png", np.dstack([COLORS[IDS], alpha]))
    two, text = described(tmp_path / "two")
    assert two.masks.transparent == "keep" and {c.raw for c in two.classes} == {(0, 0, 0), (255, 0, 0)}
    share = f"{HOLE.mean():.2%} of the pixels of the masks are transparent"
    assert share in text
    more, text = described(tmp_path / "more")
    assert more.masks.transparent == "ignore" and share in text
