"""Every kind of bad file is found, is named with a remedy, and does not affect the other files."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from made_data import CLASSES, MadeData, describe, make_data, paint, picture, save
from satsynth.rasters.reading import read_image
from satsynth.scenes.checking import unusable_files
from satsynth.scenes.finding import search_scenes
from satsynth.scenes.problems import BadFile, BadFilesError, as_frame, as_text, refuse
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

RNG = np.random.default_rng(2)


def bad_of(made: MadeData) -> list[BadFile]:
    """Return scenes and bad files after finding and checking."""
    scenes, bad = search_scenes(made.description, made.raw, file_digest)
    return bad + unusable_files(scenes, made.reader(), workers=2)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def jpeg_named_png(path: Path) -> None:
    Image.open(path).convert("RGB").save(path, format="JPEG")


def claim(width: int, height: int) -> Callable[[Path], None]:
    """Return a function that replaces a file by a PNG whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def spoil(path: Path) -> None:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)

    return spoil


def unknown_colour(path: Path) -> None:
    pixels = np.array(Image.open(path))
    pixels[5, 7:10] = (227, 170, 42)
    save(path, pixels)


def reverse(path: Path) -> None:
    save(path, np.ascontiguousarray(np.array(Image.open(path))[..., ::-1]))


def outside_link(path: Path) -> None:
    target = path.parents[3] / "elsewhere.png"
    shutil.move(path, target)
    path.symlink_to(target)


SPOILERS: list[tuple[str, Callable[[Path], None], str, str]] = [
    ("images", truncate, "cannot be read", "Fetch or export this file again"),
    ("images", lambda path: path.write_bytes(b""), "is empty (0 bytes)", "Fetch or export this file again"),
    (
        "images",
        lambda path: path.write_text("<html>404"),
        "Pillow does not recognise it as an image",
        "Fetch or export",
    ),
    ("images", claim(2_000_000, 3), "has 2000000 x 3 pixels according to its header", "its header is damaged"),
    ("images", claim(40_000, 40_000), "of which 1,600 million must be decoded at once", "tiled GeoTIFF"),
    ("images", lambda path: save(path, picture(RNG, 96, 71)), "71 x 96 pixels, but its mask", "Export both"),
    ("images", lambda path: save(path, np.zeros((96, 70), np.uint16)), "holds uint16 values", "scaling: {low: 0"),
    ("images", outside_link, "is a symbolic link that leads out of the raw folder", "--params=raw=<folder>"),
    ("masks", truncate, "cannot be read", "Fetch or export this file again"),
    ("masks", lambda path: path.write_bytes(b""), "is empty (0 bytes)", "Fetch or export this file again"),
    ("masks", lambda path: path.write_text("<html>404"), "Pillow does not recognise it as an image", "Fetch or export"),
    ("masks", claim(2_000_000, 3), "has 2000000 x 3 pixels according to its header", "its header is damaged"),
    ("masks", lambda path: save(path, np.zeros((96, 70), np.uint16)), "has 1 band(s)", "`masks.encoding: index`"),
    ("masks", lambda path: path.unlink(), "has no mask: north/masks/a.png does not exist", "Add the mask"),
    ("masks", jpeg_named_png, "is compressed with loss (JPEG)", "lossless PNG or TIFF"),
    (
        "masks",
        unknown_colour,
        "colour #E3AA2A in 3 pixel(s), first at x=7, y=5; the nearest known value is colour #E2A929 (water)",
        "`classes` or `ignore`",
    ),
    ("masks", reverse, "in reverse order (B, G, R)", "in the order R, G, B"),
    ("masks", outside_link, "is a symbolic link that leads out of the raw folder", "--params=raw=<folder>"),
]


@pytest.mark.parametrize(("kind", "spoil", "problem", "remedy"), SPOILERS)
def test_a_bad_file_is_named_with_its_remedy_and_affects_only_its_own_scene(
    tmp_path: Path, kind: str, spoil: Callable[[Path], None], problem: str, remedy: str
) -> None:
    made = make_data(tmp_path / "data" / "raw")
    assert bad_of(made) == []
    spoil(made.raw / "north" / kind / "a.png")
    bad = bad_of(made)
    named = [file for file in bad if problem in file.problem]
    assert len(named) == 1 and named[0].file.startswith("north/") and remedy in named[0].remedy
    assert {file.scene for file in bad} == {"north/a"} and len(bad) == 1
    text = as_text(bad)
    assert named[0].file in text and problem in text and remedy in text
    scenes, _ = search_scenes(made.description, made.raw, file_digest)
    out = {file.scene for file in bad}
    assert {scene.scene_id for scene in scenes} - out == set(made.masks) - {"north/a"}


def ids_of(made: MadeData) -> MadeData:
    """Store the masks of a data set as ids 0, 1, 2 and 255."""
    for name, mask in made.masks.items():
        group, file = name.split("/")
        save(made.raw / group / "masks" / f"{file}.png", mask)
    classes = [{**spec, "raw": number} for number, spec in enumerate(CLASSES)]
    return replace(made, description=describe(masks={"encoding": "index"}, classes=classes, ignore=[255]))


@pytest.mark.parametrize(
    ("value", "problem", "remedy"),
    [
        (3, "id 3 in 3 pixel(s), first at x=7, y=5; the nearest known value is id 2 (building)", "`classes` or"),
        (250, "id 250 in 3 pixel(s), first at x=7, y=5; the nearest known value is id 255 (ignore)", "`classes` or"),
    ],
)
def test_an_unknown_id_is_named_with_place_and_nearest(made: MadeData, value: int, problem: str, remedy: str) -> None:
    made = ids_of(made)
    assert bad_of(made) == []
    pixels = made.masks["north/a"].copy()
    pixels[5, 7:10] = value
    save(made.raw / "north" / "masks" / "a.png", pixels)
    (found,) = bad_of(made)
    assert found.file == "north/masks/a.png" and problem in found.problem and remedy in found.remedy


def test_colours_where_ids_are_expected_are_named(made: MadeData) -> None:
    made = ids_of(made)
    save(made.raw / "north" / "masks" / "a.png", paint(made.masks["north/a"]))
    (found,) = bad_of(made)
    assert found.problem == "holds colours (3 channels), but `masks.encoding` is `index`"
    assert "`masks.encoding: color`" in found.remedy


@pytest.mark.parametrize(("name", "said"), [("gone.png", "is missing"), ("link.png", "outside the raw folder")])
def test_the_files_of_one_large_image_must_be_in_the_raw_folder(tmp_path: Path, name: str, said: str) -> None:
    save(tmp_path / "raw" / "image.png", picture(RNG, 64, 96))
    save(tmp_path / "away.png", np.zeros((64, 96), np.uint8))
    (tmp_path / "raw" / "link.png").symlink_to(tmp_path / "away.png")
    layout = {"kind": "blocks", "image": "image.png", "mask": name, "block": 32, "rows": [0, 1]}
    with pytest.raises(DataError, match=said) as caught:
        search_scenes(describe(layout=layout), tmp_path / "raw", file_digest)
    assert caught.value.remedy


def test_hidden_copies_that_programs_leave_are_no_scenes(made: MadeData) -> None:
    image = made.raw / "north" / "images" / "a.png"
    (image.parent / "._a.png").write_bytes(b"\0\5\x16\7")
    (image.parent / ".ipynb_checkpoints").mkdir()
    shutil.copy(image, image.parent / ".ipynb_checkpoints" / "a-checkpoint.png")
    for kind in ("images", "masks"):
        (made.raw / "__MACOSX" / kind).mkdir(parents=True)
        (made.raw / "__MACOSX" / kind / "a.png").write_bytes(b"\0")
    assert bad_of(made) == []
    assert {scene.scene_id for scene in made.scenes()} == set(made.masks)


def test_a_mask_without_an_image_is_named(made: MadeData) -> None:
    (made.raw / "west" / "images" / "b.png").unlink()
    (found,) = bad_of(made)
    assert (found.file, found.problem) == ("west/masks/b.png", "is a mask without an image")


def test_masks_outside_of_what_the_pattern_means_are_no_orphans(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>north|east|west)/images/(?P<name>[^/]+)\.png"}
    made = make_data(tmp_path, layout=layout)
    assert bad_of(made) == []
    (made.raw / "north" / "images" / "b.png").unlink()
    assert [file.file for file in bad_of(made)] == ["north/masks/b.png"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<group>[^/()\]]+)/images/(?P<name>[^/]+)\.png",
        r"(?P<group>(?:north|[sew]\w+)|\(x\))/images/(?P<name>(?P<first>[a-z])(?:[0-9]*))\.png",
        r"(?P<group>[]a-z]+)/images/(?P<name>\w)\.png",
    ],
)
def test_groups_of_any_expression_are_found_in_masks(tmp_path: Path, pattern: str) -> None:
    made = make_data(tmp_path, layout={**describe().layout.model_dump(), "pattern": pattern})
    (made.raw / "north" / "images" / "a.png").unlink()
    assert [file.file for file in bad_of(made)] == ["north/masks/a.png"]


def test_a_copy_of_a_test_image_in_training_is_named_and_the_test_keeps_it(made: MadeData) -> None:
    shutil.copy(made.raw / "west" / "images" / "a.png", made.raw / "north" / "images" / "c.png")
    shutil.copy(made.raw / "west" / "masks" / "a.png", made.raw / "north" / "masks" / "c.png")
    (found,) = bad_of(made)
    assert (found.file, found.scene) == ("north/images/c.png", "north/c")
    assert found.problem == "is in train, but is a copy of west/images/a.png, which is in test"


def test_a_mask_path_that_leaves_the_raw_folder_is_refused(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "mask": "../masks/{group}/{name}.png"}
    made = make_data(tmp_path / "raw", layout=layout)
    for name, mask in made.masks.items():
        save(tmp_path / "masks" / f"{name}.png", paint(mask))
    bad = bad_of(made)
    assert len(bad) == len(made.masks)
    assert all("lies outside the raw folder" in file.problem and "`layout.mask`" in file.remedy for file in bad)


def test_a_linked_folder_that_leaves_the_raw_folder_is_refused_and_one_within_is_not_followed(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    shutil.move(made.raw / "south", tmp_path / "south")
    (made.raw / "south").symlink_to(tmp_path / "south")
    (made.raw / "again").symlink_to(made.raw / "north")
    (found,) = bad_of(made)
    assert found.file == "south" and str(tmp_path / "south") in found.problem


def test_links_that_are_no_part_of_the_data_set_do_not_matter(made: MadeData, tmp_path: Path) -> None:
    (made.raw / "README.txt").symlink_to("/etc/hostname")
    (made.raw / "north" / "gone.png").symlink_to("/nowhere/gone.png")
    assert bad_of(made) == []


def test_a_name_that_is_no_text_is_named(made: MadeData) -> None:
    (made.raw / os.fsdecode(b"north/images/\xff.png")).write_bytes(b"")
    (found,) = bad_of(made)
    assert found.file == r"north/images/\udcff.png" and "not UTF-8" in found.problem


@pytest.mark.parametrize("name", ["\x1b[2J.png", "a\nb.png", "\x9b31m.png", "a\r.png"])
def test_control_characters_in_names_are_never_printed(made: MadeData, name: str) -> None:
    (made.raw / "north" / "images" / name).write_bytes(b"")
    (found,) = bad_of(made)
    assert "control characters" in found.problem
    with pytest.raises(BadFilesError) as caught:
        made.scenes()
    for text in (str(caught.value), as_text([BadFile(name, name, name)]), *as_frame([found]).iloc[0]):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert name not in text


def test_values_of_files_are_printed_without_control_characters() -> None:
    error = DataError("mask.geojson holds '\x1b]0;title\x07\u202e'.", "Correct it.\r")
    assert str(error) == r"mask.geojson holds '\x1b]0;title\x07\u202e'." + "\n  What to do: Correct it.\\r"


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_fifos_and_devices_are_named_and_not_waited_for(made: MadeData, kind: str) -> None:
    path = made.raw / "north" / kind / "a.png"
    path.unlink()
    os.mkfifo(path)
    (found,) = bad_of(made)
    assert found.scene == "north/a" and "not a plain file" in found.problem


def test_the_lines_of_a_list_that_is_a_link_to_elsewhere_are_not_shown(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    (tmp_path / "secret").write_text("passwd:x:0:0")
    for name, target in (("list.txt", tmp_path / "secret"), ("zero.txt", Path("/dev/zero"))):
        (made.raw / name).symlink_to(target)
        splits = {"val": ["east"], "test": ["west"], "lists": {"val": name}}
        with pytest.raises(DataError, match="outside the raw folder") as caught:
            search_scenes(describe(splits=splits), made.raw, file_digest)
        assert "passwd" not in str(caught.value)


def test_a_group_that_refers_back_costs_only_the_search_for_orphans(tmp_path: Path) -> None:
    pattern = r"(?P<group>\w+)/images/(?P<name>(?P<a>[a-z])(?:(?P=a))?)\.png"
    made = make_data(tmp_path, layout={**describe().layout.model_dump(), "pattern": pattern})
    (made.raw / "north" / "images" / "a.png").unlink()
    assert bad_of(made) == []


def test_a_closed_folder_and_a_closed_file_are_named(made: MadeData, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = made.raw / "south" / "images"
    scan = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(closed))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    bad = bad_of(made)
    assert [(file.file, file.problem) for file in bad] == [
        ("south/images", "cannot be opened (Permission denied)"),
        ("south/masks/a.png", "is a mask without an image"),
    ]
    assert "read access" in bad[0].remedy

    def digest(path: Path) -> str:
        if path.name == "b.png" and path.parent.name == "images":
            raise PermissionError(13, "Permission denied", str(path))
        return file_digest(path)

    _, bad = search_scenes(made.description, made.raw, digest)
    assert [file.file for file in bad[2:]] == ["north/images/b.png", "west/images/b.png"]
    assert bad[2].problem == "cannot be opened (Permission denied)"


def test_a_tiff_mask_compressed_with_loss_is_named(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "mask": "{group}/masks/{name}.tif"}
    made = make_data(tmp_path, layout=layout)
    for name, mask in made.masks.items():
        group, file = name.split("/")
        (made.raw / group / "masks" / f"{file}.png").unlink()
        colors = np.moveaxis(paint(mask), -1, 0)
        more = {"compress": "jpeg", "photometric": "ycbcr"} if name == "west/a" else {"compress": "deflate"}
        size = {"height": mask.shape[0], "width": mask.shape[1], "transform": Affine(2, 0, 0, 0, -2, 0)}
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", **size}
        with rasterio.open(made.raw / group / "masks" / f"{file}.tif", "w", **profile, **more) as written:
            written.write(colors)
    (found,) = bad_of(made)
    assert found.file == "west/masks/a.tif" and "compressed with loss (JPEG)" in found.problem


def test_a_damaged_tiff_does_not_spoil_the_reading_of_those_after_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in ("whole", "damaged"):
        save(tmp_path / f"{name}.tif", picture(rng, 600, 40))
    whole = read_image(tmp_path / "whole.tif")
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(damaged.read_bytes()[:40_000])
    for _ in range(2):
        with pytest.raises(DataError, match=r"damaged\.tif cannot be read"):
            read_image(damaged, (0, 500, 40, 100))
        np.testing.assert_array_equal(read_image(tmp_path / "whole.tif", (3, 200, 20, 30)), whole[200:230, 3:23])


def test_a_mask_of_noise_is_reported_in_a_few_words(made: MadeData) -> None:
    save(made.raw / "north" / "masks" / "b.png", picture(RNG, 64, 64))
    (found,) = bad_of(made)
    assert "more unknown values in" in found.problem and len(found.problem) < 600


@pytest.mark.parametrize("tiff", [False, True])
def test_a_large_image_is_looked_at_in_parts_that_give_one_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiff: bool
) -> None:
    monkeypatch.setattr("satsynth.scenes.checking._PIXELS", 1)
    layout = {
        **describe().layout.model_dump(),
        "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.(?:png|tif)",
        "mask": "{group}/masks/{name}.png",
    }
    sizes = {("north", "a"): (1100, 20), ("east", "a"): (20, 20), ("west", "a"): (20, 20)}
    made = make_data(tmp_path, sizes, layout=layout)
    image = made.raw / "north" / "images" / "a.png"
    if tiff:
        save(image.with_suffix(".tif"), made.images["north/a"])
        image.unlink()
    assert bad_of(made) == []
    raw = paint(made.masks["north/a"])
    raw[600, 3] = raw[1099, 19] = (1, 2, 3)
    save(made.raw / "north" / "masks" / "a.png", raw)
    (found,) = bad_of(made)
    assert "colour #010203 in 2 pixel(s), first at x=3, y=600" in found.problem
    image = image.with_suffix(".tif" if tiff else ".png")
    image.write_bytes(image.read_bytes()[:40_000])
    (found,) = bad_of(made)
    assert found.file == f"north/images/{image.name}" and "cannot be read" in found.problem


def test_a_long_table_is_cut_and_a_short_one_numbers_its_remedies() -> None:
    files = [BadFile(f"{number}.png", "is empty", "Fetch it." if number % 2 else "Remove it.") for number in range(30)]
    text = as_text(files).splitlines()
    assert len(text) == 1 + 20 + 1 + 2
    assert text[0] == "  file    problem (remedy)" and text[1:3] == ["  0.png   is empty (1)", "  1.png   is empty (2)"]
    assert text[-2:] == ["  (1) Remove it.", "  (2) Fetch it."]
    assert text[21] == "  ... and 10 more"
    frame = as_frame(files)
    assert list(frame.columns) == ["file", "problem", "remedy", "scene"] and len(frame) == 30
    assert list(as_frame([]).columns) == list(frame.columns)


def test_the_error_survives_a_process_boundary() -> None:
    refuse([], "made")
    with pytest.raises(BadFilesError) as caught:
        refuse([BadFile("a.png", "is empty", "Fetch it.")], "made")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert isinstance(caught.value, DataError)
