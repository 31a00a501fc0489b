from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from PIL import Image, ImageFilter

from described import described, ids, scenes_of
from layouts import LAYOUTS, SIDE, Layout, write_layout
from made_data import COLORS, blobs, paint, picture, save
from satsynth.datasets.description import DatasetDescription
from satsynth.describing import values
from satsynth.describing.proposal import propose
from satsynth.describing.text import description_text
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest
from satsynth.work.ignore import IGNORE_INDEX

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("labels", [paint, ids], ids=["colours", "ids"])
def test_every_layout_is_matched_and_can_be_ingested_unedited(tmp_path: Path, name: str, labels: object) -> None:
    pairs = write_layout(tmp_path, LAYOUTS[name], labels)
    description, _ = described(tmp_path)
    scenes = scenes_of(description, tmp_path)
    assert {scene.image: scene.mask for scene in scenes} == pairs
    assert {scene.split for scene in scenes} == {"train", "val", "test"}
    assert len(description.classes) == 3 and len(description.ignore) == 1
    assert description.masks.encoding == ("color" if labels is paint else "index")
    # Labels are read as they were written.
    reader = SceneReader(description, tmp_path)
    for scene in scenes[:2]:
        stored = np.asarray(Image.open(tmp_path / scene.mask))
        _, mask = reader.read(scene, 0, 0, SIDE, SIDE)
        ignored = tuple(COLORS[IGNORE_INDEX]) if labels is paint else 255
        same = (stored == ignored).all(-1) if labels is paint else stored == ignored
        np.testing.assert_array_equal(mask == IGNORE_INDEX, same)


def test_the_walk_through_of_the_documentation_is_what_describe_writes(tmp_path: Path, project: Path) -> None:
    page = (project / "docs/own-data.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["datasets"]["roofs"]
    rng = np.random.default_rng(0)
    for town, count in {"a": 5, "b": 4, "c": 4, "d": 3, "e": 4}.items():
        for number in range(1, count + 1):
            name = f"town_{town}_{number:02d}"
            save(tmp_path / "images" / f"{name}.jpg", picture(rng, SIDE, SIDE))
            save(tmp_path / "masks" / f"{name}.png", np.where(blobs(rng, SIDE, SIDE) == 1, 255, 0).astype(np.uint8))
    proposal = propose(tmp_path, 0)
    written = yaml.safe_load(description_text("roofs", "/disk/roofs", proposal))["datasets"]["roofs"]
    assert written == shown
    said = f"{proposal.scenes} scenes, {len(proposal.classes.classes)} classes. {proposal.why_splits}"
    assert said in page
    # Such small scenes cause one more note.
    assert [note for note in proposal.notes if "less than a tile" not in note] == [
        "The names of the classes are placeholders: nothing in the folder says them. Rename them."
    ]
    assert proposal.notes[-1] in " ".join(page.split())


def test_images_without_masks_are_left_out_and_reported(tmp_path: Path) -> None:
    pairs = write_layout(tmp_path, LAYOUTS["parallel"])
    (tmp_path / "masks/3.png").unlink()
    description, text = described(tmp_path)
    assert {scene.image for scene in scenes_of(description, tmp_path)} == pairs.keys() - {"images/3.png"}
    assert "1 image(s) have no mask, such as images/3.png" in text and "images: {unlabelled: [...]}" in text


def test_a_whole_folder_without_masks_is_left_out_by_its_name(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["nested"])
    save(tmp_path / "test/images/P9.png", picture(RNG, SIDE, SIDE))
    description, _ = described(tmp_path)
    assert "(?P<split>train|val)" in description.layout.pattern
    assert len(scenes_of(description, tmp_path)) == 40


def test_instance_masks_beside_semantic_ones_are_not_taken(tmp_path: Path) -> None:
    pairs = write_layout(tmp_path, LAYOUTS["nested"])
    for image in list(pairs)[:15]:
        split, name = image.split("/")[0], Path(image).stem
        save(tmp_path / split / "Instance_masks/images" / f"{name}_instance_id_RGB.png", picture(RNG, SIDE, SIDE))
    description, text = described(tmp_path)
    assert {scene.image: scene.mask for scene in scenes_of(description, tmp_path)} == pairs
    assert "several files that could be the mask" in text


def soft(mask: np.ndarray) -> np.ndarray:
    """Black and white with soft edges, as from a photo editor."""
    sharp = Image.fromarray(np.where(mask == 1, 255, 0).astype(np.uint8))
    return np.asarray(sharp.filter(ImageFilter.GaussianBlur(0.6)))


def test_grey_edges_of_black_and_white_masks_go_to_the_nearer_class(tmp_path: Path) -> None:
    def smooth(_: np.ndarray) -> np.ndarray:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[5:30, 8:33] = 1
        return soft(mask)

    write_layout(tmp_path, LAYOUTS["affixes"], smooth)
    description, text = described(tmp_path)
    scenes = scenes_of(description, tmp_path)
    assert [(one.name, one.raw) for one in description.classes] == [("background", 0), ("foreground", 255)]
    assert description.ignore == ()
    assert "grey edges" in text
    stored = np.asarray(Image.open(tmp_path / scenes[0].mask))
    _, mask = SceneReader(description, tmp_path).read(scenes[0], 0, 0, SIDE, SIDE)
    assert len(np.unique(stored)) > 8
    np.testing.assert_array_equal(mask, stored > 127)
    grey = ((stored > 0) & (stored < 255)).mean()
    assert f"Of all pixels, {grey:.2%} by more than 0" in " ".join(text.replace("#", " ").split())


def test_plain_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["affixes"], lambda mask: np.where(mask == 1, 255, 0).astype(np.uint8))
    description, _ = described(tmp_path)
    assert [(one.name, one.raw) for one in description.classes] == [("background", 0), ("foreground", 255)]
    assert description.ignore == ()


def test_colours_stored_as_jpeg_go_to_the_nearest_class(tmp_path: Path) -> None:
    layout = Layout(LAYOUTS["parallel"].scenes, "images/{1}.png", "masks/{1}.jpg")
    truth = []

    def painted(mask: np.ndarray) -> np.ndarray:
        truth.append(np.kron(mask[::16, ::16], np.ones((16, 16), np.uint8))[: mask.shape[0], : mask.shape[1]])
        truth[-1][truth[-1] == IGNORE_INDEX] = 0
        return paint(truth[-1])

    pairs = write_layout(tmp_path, layout, painted)
    description, text = described(tmp_path)
    said = " ".join(text.replace("#", " ").split())
    assert "compressed with loss (JPEG)" in said and "taken for the nearest of them" in said
    assert description.masks.nearest is not None and len(description.classes) < 8
    scenes = scenes_of(description, tmp_path)
    assert len(scenes) == 12
    # JPEG moves the painted colours by a little.
    table = {
        number: min(range(3), key=lambda i: np.abs(np.subtract(one.raw, COLORS[i])).sum())
        for number, one in enumerate(description.classes)
    }
    # A blend that covers much of such small images may be proposed too.
    assert set(table.values()) == {0, 1, 2}
    reader, by_mask = SceneReader(description, tmp_path), dict(zip(pairs.values(), truth, strict=True))
    for scene in scenes:
        found = np.vectorize(table.get)(reader.read(scene, 0, 0, scene.height, scene.width)[1])
        assert (found == by_mask[scene.mask]).mean() > 0.9


def test_palette_masks_are_read_by_their_colours(tmp_path: Path) -> None:
    pairs = write_layout(tmp_path, LAYOUTS["tiles"])
    for number, mask in enumerate(pairs.values()):
        if number % 2:
            Image.open(tmp_path / mask).quantize(8, dither=Image.Dither.NONE).save(tmp_path / mask)
    description, _ = described(tmp_path)
    assert description.masks.encoding == "color"
    assert {one.raw for one in description.classes} == {COLORS[i] for i in range(3)}
    assert description.ignore == (COLORS[IGNORE_INDEX],)
    assert len(scenes_of(description, tmp_path)) == 16


def test_names_come_from_a_legend_that_fits_and_not_from_one_that_does_not(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"])
    legend = [{"title": f"kind {i}", "color": "#{:02X}{:02X}{:02X}".format(*COLORS[i])} for i in range(3)]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": legend}))
    description, _ = described(tmp_path)
    assert {one.name: one.raw for one in description.classes} == {f"kind {i}": COLORS[i] for i in range(3)}
    legend[0]["color"] = "#123456"
    (tmp_path / "classes.json").write_text(json.dumps({"classes": legend}))
    description, text = described(tmp_path)
    assert description.class_names == ("class_1", "class_2", "class_3")
    assert "classes.json was not used, because it does not name colour #E2A929" in " ".join(
        text.replace("#   ", "").split()
    )


def test_names_come_from_a_table_of_red_green_and_blue(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"])
    rows = [",".join(["kind" + str(i), *map(str, COLORS[i])]) for i in range(3)]
    (tmp_path / "class_dict.csv").write_text("\n".join(["name,r,g,b", *rows]))
    description, _ = described(tmp_path)
    assert {one.name: one.raw for one in description.classes} == {f"kind{i}": COLORS[i] for i in range(3)}


def test_images_of_several_formats_and_masks_without_images(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"])
    Image.open(tmp_path / "images/4.png").save(tmp_path / "images/4.jpg")
    Image.open(tmp_path / "images/5.png").save(tmp_path / "images/5.TIF")
    for name in "456":
        (tmp_path / f"images/{name}.png").unlink()
    description, text = described(tmp_path)
    assert "1 mask(s) have no image, such as masks/6.png" in text
    (tmp_path / "masks/6.png").unlink()
    assert {Path(scene.image).name for scene in scenes_of(description, tmp_path)} >= {"4.jpg", "5.TIF", "7.png"}


def test_of_a_giant_mask_only_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_PIXELS", 64_000)
    save(tmp_path / "ortho_image.png", picture(RNG, 200, 900))
    mask = np.repeat(np.arange(200, dtype=np.uint8)[:, None] // 50, 900, 1)
    with rasterio.open(
        tmp_path / "ortho_mask.tif", "w", driver="GTiff", count=1, height=200, width=900, dtype="uint8",
        transform=Affine(2, 0, 0, 0, -2, 0),
    ) as file:  # fmt: skip
        file.write(mask[None])
    counted = values.count_values(tmp_path, ["ortho_mask.tif"], 0)
    assert counted.in_part and counted.pixels.total() == 16 * 4 * 900 and set(counted.pixels) == {0, 1, 2, 3}
    assert "only some of their rows were read" in described(tmp_path)[1]


def test_one_large_image_becomes_blocks(tmp_path: Path) -> None:
    save(tmp_path / "ortho_image.png", picture(RNG, 200, 900))
    save(tmp_path / "ortho_mask.png", ids(blobs(RNG, 200, 900)))
    description, text = described(tmp_path)
    scenes = scenes_of(description, tmp_path)
    assert description.layout.kind == "blocks" and len(scenes) == 5
    assert [scene.split for scene in scenes] == ["train", "train", "train", "val", "test"]
    assert "There is one image of 900 x 200 pixels" in text


def test_masks_of_another_size_are_laid_on_their_images(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"], lambda mask: ids(mask)[::2, ::2])
    description, text = described(tmp_path)
    assert description.masks.align == "nearest" and "another size" in text
    assert len(scenes_of(description, tmp_path)) == 12


@pytest.mark.parametrize("shape", [(20, 20), (20, 30), (40, 20)])
def test_a_few_masks_of_another_size_are_no_rule_but_named(tmp_path: Path, shape: tuple[int, int]) -> None:
    pairs = write_layout(tmp_path, LAYOUTS["parallel"], ids)
    save(tmp_path / pairs["images/3.png"], np.ones(shape, np.uint8))
    description, text = described(tmp_path)
    assert description.masks.align == "exact"
    said = " ".join(text.replace("#", " ").split())
    assert "1 of 12 masks that were read have another size than their image, such as images/3.png (40 x 40; " in said
    with pytest.raises(DataError, match=r"images/3\.png +is 40 x 40 pixels, but its mask masks/3\.png"):
        scenes_of(description, tmp_path)


def test_masks_of_another_shape_are_never_stretched_unasked(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"], lambda mask: ids(mask)[::2])
    description, text = described(tmp_path)
    assert description.masks.align == "exact" and "12 of 12 masks that were read" in " ".join(text.split())


IMAGES = {f"images/{name}.png": "image" for name in "abc"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"images/a.png": "image", "masks/b.png": "mask"}, "nothing in common"),
        ({"images/a.png": "image"}, "No image with a mask"),
        ({f"{kind}s/{name}.png": kind for kind in ("image", "mask") for name in "ab"}, "There are 2 scene"),
        ({**IMAGES, **{f"masks/{name}.png": "broken" for name in "abc"}}, "None of 3 masks can be read"),
        ({**IMAGES, "masks/a.png": "mask", "masks/b.tif": "mask", "masks/c.png": "mask"}, "no single rule"),
        ({**IMAGES, **{f"masks/{name}.png": "one" for name in "abc"}}, "at least 2 are needed"),
    ],
)
def test_what_cannot_be_described_says_why(tmp_path: Path, files: dict[str, str], said: str) -> None:
    made = {"image": picture(RNG, 40, 40), "mask": ids(blobs(RNG, 40, 40)), "one": np.ones((40, 40), np.uint8)}
    for name, kind in files.items():
        if kind == "broken":
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("no picture")
        else:
            save(tmp_path / name, made[kind])
    with pytest.raises(DataError, match=said) as caught:
        described(tmp_path)
    assert caught.value.remedy


@pytest.mark.real
def test_dubai_is_described_as_by_hand(shared: Path, project: Path) -> None:
    folder = shared / "data" / "dubai"
    text = (project / "conf/base/parameters_dataset_dubai.yml").read_text(encoding="utf-8")
    by_hand = DatasetDescription.model_validate(yaml.safe_load(text)["datasets"]["dubai"])
    description, proposed = described(folder)
    scenes, known = scenes_of(description, folder), find_scenes(by_hand, folder, file_digest)
    assert {(s.image, s.mask, s.group) for s in scenes} == {(s.image, s.mask, s.group) for s in known}
    assert {one.raw for one in description.classes} == {one.raw for one in by_hand.classes}
    assert set(description.ignore) == set(by_hand.ignore)
    assert "classes.json" in proposed


@pytest.mark.real
@pytest.mark.parametrize(("name", "scenes"), [("loveda", 3), ("isaid", 3)])
def test_real_benchmarks_are_matched(shared: Path, name: str, scenes: int) -> None:
    description, _ = described(shared / "data" / name)
    assert len(scenes_of(description, shared / "data" / name)) == scenes


def test_the_depth_of_pictures_is_proposed_and_a_mixture_is_reported(tmp_path: Path) -> None:
    import cv2

    pairs = write_layout(tmp_path, LAYOUTS["parallel"], ids)
    for image in pairs:
        deep = RNG.integers(500, 4000, (SIDE, SIDE, 3)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / image), deep)
    description, text = described(tmp_path)
    scaling = description.images.scaling
    assert scaling is not None and 500 <= scaling.low < 700 and 3700 < scaling.high < 4000
    assert "Other images are 8 bit" not in text and len(scenes_of(description, tmp_path)) == 12
    save(tmp_path / "images/3.png", picture(RNG, SIDE, SIDE))
    assert "Other images are 8 bit, such as images/3.png, and one scaling does not suit both" in " ".join(
        described(tmp_path)[1].replace("#", " ").split()
    )


def test_bands_and_depth_of_images_are_proposed(tmp_path: Path) -> None:
    from satsynth.rasters.reading import read_image

    for name in "abcdef":
        bands = RNG.integers(200, 3000, (4, SIDE, SIDE)).astype(np.uint16)
        (tmp_path / "images").mkdir(exist_ok=True)
        with rasterio.open(
            tmp_path / f"images/{name}.tif", "w", driver="GTiff", count=4, height=SIDE, width=SIDE, dtype="uint16",
            transform=Affine(2, 0, 0, 0, -2, 0), photometric="MINISBLACK",
        ) as file:  # fmt: skip
            file.write(bands)
        save(tmp_path / f"masks/{name}.png", ids(blobs(RNG, SIDE, SIDE)))
    description, text = described(tmp_path)
    assert description.images.bands == (1, 2, 3) and description.images.scaling is not None
    assert "does not say which are red" in text and "not 8 bit" in text
    scenes = scenes_of(description, tmp_path)
    pixels = read_image(tmp_path / scenes[0].image, form=description.images)
    assert pixels.min() == 0 and pixels.max() == 255 and 100 < pixels.mean() < 155
