"""Arrays of NumPy as images and masks: real values, each shape, and what is refused."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from described import described, scenes_of
from made_data import blobs, picture, save
from satsynth.datasets.formats import ImageFormat, Scaling
from satsynth.rasters.cache import RasterCache
from satsynth.rasters.reading import RasterInfo, raster_info, read_image, read_raw_mask, read_valid
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError

RNG = np.random.default_rng(2)
HEIGHT, WIDTH = 20, 30
RGB = picture(RNG, HEIGHT, WIDTH)
IDS = blobs(RNG, HEIGHT, WIDTH) % 3
WINDOW = (4, 3, 11, 9)
CUT = (slice(3, 12), slice(4, 15))
Save = Callable[[Path, np.ndarray], Any]
SAVED: dict[str, Save] = {".npy": np.save, ".npz": np.savez_compressed}


@pytest.fixture(params=SAVED)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[np.ndarray], Path]:
    """Saves an array in one of the two formats."""

    def write(array: np.ndarray) -> Path:
        SAVED[request.param](tmp_path / f"array{request.param}", array)
        return tmp_path / f"array{request.param}"

    return write


@pytest.mark.parametrize(
    ("array", "read"),
    [
        (RGB, RGB),
        (np.moveaxis(RGB, -1, 0), RGB),
        (np.asfortranarray(RGB), RGB),
        (RGB[..., 0], RGB[..., [0, 0, 0]]),
        (RGB[..., :1], RGB[..., [0, 0, 0]]),
        (RGB[None, ..., 1], RGB[..., [1, 1, 1]]),
        (RGB[..., 0] > 99, np.repeat((RGB[..., :1] > 99).astype(np.uint8), 3, -1)),
    ],
    ids=["HWC", "CHW", "Fortran", "HW", "HW1", "1HW", "bool"],
)
def test_images_of_each_shape(saved: Callable[[np.ndarray], Path], array: np.ndarray, read: np.ndarray) -> None:
    path = saved(array)
    assert raster_info(path) == RasterInfo(HEIGHT, WIDTH)
    assert np.array_equal(read_image(path), read) and read_image(path).dtype == np.uint8
    for decoded in (None, RasterCache(1)):
        assert np.array_equal(read_image(path, WINDOW, decoded=decoded), read[CUT])
    assert read_valid(path) is None


def test_bands_and_scaling_of_many_bands(saved: Callable[[np.ndarray], Path]) -> None:
    deep = RNG.integers(0, 4000, (HEIGHT, WIDTH, 6)).astype(">u2")
    path = saved(deep)
    with pytest.raises(DataError, match="has 6 bands and does not say"):
        read_image(path)
    named = ImageFormat(bands=(4, 3, 2))
    with pytest.raises(DataError, match="holds uint16 values, 2 % of them below") as caught:
        read_image(path, form=named)
    assert "images: {scaling:" in caught.value.remedy
    form = ImageFormat(bands=(4, 3, 2), scaling=Scaling(low=0, high=4000))
    assert np.abs(read_image(path, form=form) - deep[..., [3, 2, 1]] * (255 / 4000)).max() <= 0.501
    with pytest.raises(DataError, match="asks for band 7"):
        read_image(path, form=ImageFormat(bands=(7, 1, 2)))


def test_nan_and_the_fourth_band_hide_pixels(saved: Callable[[np.ndarray], Path]) -> None:
    values = np.dstack([RGB, np.ones((HEIGHT, WIDTH))]).astype(np.float32)
    values[2, 5, 1], values[6:8, 7, 3] = np.nan, 0
    path, valid = saved(values), np.ones((HEIGHT, WIDTH), bool)
    valid[2, 5] = False
    assert np.array_equal(read_valid(path, form=ImageFormat(bands=(1, 2, 3))), valid)
    valid[6:8, 7] = False
    assert np.array_equal(read_valid(path, form=ImageFormat(bands=(1, 2, 3, 4))), valid)
    assert np.array_equal(read_valid(path, WINDOW, ImageFormat(bands=(1, 2, 3, 4))), valid[CUT])


@pytest.mark.parametrize("kind", ["u1", "i2", ">i4", "i8", "f4", "f8", "?"])
def test_masks_of_ids_of_any_type(saved: Callable[[np.ndarray], Path], kind: str) -> None:
    ids = (IDS > 0 if kind == "?" else IDS).astype(kind)
    for array in (ids, ids[None], ids[..., None]):
        raw = read_raw_mask(saved(array), "index")
        assert raw.values.dtype.kind in "iu" and np.array_equal(raw.values, ids) and raw.absent is None
    assert np.array_equal(read_raw_mask(saved(ids), "index", WINDOW).values, ids[CUT])


def test_nan_in_a_mask_belongs_to_no_class(saved: Callable[[np.ndarray], Path]) -> None:
    ids = IDS.astype(np.float32)
    ids[4, 4:7] = np.nan
    raw = read_raw_mask(saved(ids), "index")
    assert raw.absent is not None and np.array_equal(raw.absent, np.isnan(ids))
    assert np.array_equal(raw.values[~raw.absent], IDS[~raw.absent])


def test_masks_of_colours(saved: Callable[[np.ndarray], Path]) -> None:
    for array in (RGB, np.moveaxis(RGB, -1, 0)):
        assert np.array_equal(read_raw_mask(saved(array), "color").values, RGB)
    with pytest.raises(DataError, match="has 3 band") as caught:
        read_raw_mask(saved(RGB), "index")
    assert "`masks.encoding: color`" in caught.value.remedy
    # Scores of each class are no ids: what the message says makes ids of them.
    scores = np.eye(4)[IDS]
    with pytest.raises(DataError, match="has 4 band") as caught:
        read_raw_mask(saved(scores), "index")
    assert "numpy.argmax" in caught.value.remedy
    assert np.array_equal(read_raw_mask(saved(np.argmax(scores, -1)), "index").values, IDS)


@pytest.mark.parametrize("shape", [(24, 24, 24), (30,), (2, 20, 30, 3), (0, 30), (24, 30, 24), ()])
def test_shapes_that_are_no_raster_are_refused_with_what_to_do(
    saved: Callable[[np.ndarray], Path], shape: tuple[int, ...]
) -> None:
    with pytest.raises(DataError, match="an array of the shape") as caught:
        read_image(saved(np.zeros(shape, np.uint8)))
    assert "numpy.save(" in caught.value.remedy


@pytest.mark.parametrize("array", [np.zeros((9, 9), complex), np.full((9, 9), "a"), np.zeros((9, 9), "M8[s]")])
def test_values_that_are_no_numbers_are_refused(saved: Callable[[np.ndarray], Path], array: np.ndarray) -> None:
    with pytest.raises(DataError, match="which are no intensities or ids"):
        read_image(saved(array))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_nothing_is_unpickled(tmp_path: Path, saved: Callable[[np.ndarray], Path]) -> None:
    trap, array = tmp_path / "trap", np.empty((4, 4), object)
    array[:] = Trap(trap)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(array))
    for path in (saved(array), tmp_path / "pickle.npy"):
        for read in (raster_info, read_image, lambda file: read_raw_mask(file, "index")):
            with pytest.raises(DataError):
                read(path)
    assert not trap.exists()


def test_damaged_files_and_several_arrays_are_refused_by_name(
    tmp_path: Path, saved: Callable[[np.ndarray], Path]
) -> None:
    whole = saved(RGB).read_bytes()
    path = saved(RGB)
    for part in (b"", whole[:5], whole[: len(whole) // 2], b"x" * 200):
        path.write_bytes(part)
        with pytest.raises(DataError, match=path.name):
            read_image(path)
    np.savez(tmp_path / "two.npz", image=RGB, mask=IDS)
    with pytest.raises(DataError, match=r"holds 2 arrays \(image, mask\)"):
        raster_info(tmp_path / "two.npz")
    with pytest.raises(DataError, match="is missing"):
        raster_info(tmp_path / "nowhere.npy")


def test_a_large_array_is_read_by_window_only(tmp_path: Path) -> None:
    large = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.uint8, (60_000, 50_000, 3))
    large[40_000:40_009, 30_000:30_011] = RGB[:9, :11]
    large.flush()
    # 9 GB on paper; the file has holes.
    assert np.array_equal(read_image(tmp_path / "large.npy", (30_000, 40_000, 11, 9)), RGB[:9, :11])
    header = {"descr": "|u1", "fortran_order": False, "shape": (60_000, 50_000, 3)}
    with zipfile.ZipFile(tmp_path / "large.npz", "w") as archive, archive.open("arr_0.npy", "w") as inner:
        np.lib.format.write_array_header_1_0(inner, header)
    with pytest.raises(DataError, match="must be decoded at once"):
        raster_info(tmp_path / "large.npz")


@pytest.mark.parametrize(("image", "mask"), [(".npy", ".npy"), (".npz", ".npz"), (".npy", ".png")])
def test_describe_finds_arrays_and_ingestion_reads_them(tmp_path: Path, image: str, mask: str) -> None:
    truth = {}
    for number in range(4):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        truth[f"t{number}"] = IDS if number % 2 else IDS[::-1]
        deep = (RGB.astype(np.uint16) * 10 + number).transpose(2, 0, 1)
        SAVED[image](tmp_path / f"images/t{number}{image}", deep)
        file = tmp_path / f"masks/t{number}{mask}"
        (SAVED.get(mask) or save)(file, truth[f"t{number}"].astype(np.uint8))
    description, text = described(tmp_path)
    assert description.images.scaling is not None and "scaling" in text
    reader, scenes = SceneReader(description, tmp_path), scenes_of(description, tmp_path)
    assert len(scenes) == 4
    for scene in scenes:
        assert np.array_equal(reader.read(scene, 0, 0, HEIGHT, WIDTH)[1], truth[scene.scene_id])
