"""Labels of annotation tools: the pixels of each class are those whose centres lie in the outlines."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

from described import described, scenes_of
from made_data import describe, picture, save
from satsynth.datasets.description import DatasetDescription
from satsynth.describing.proposal import propose
from satsynth.rasters.annotations.coco import run_lengths
from satsynth.rasters.annotations.outlines import Outline, painted
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError

HEIGHT, WIDTH = 40, 60
ROOF = [(5.2, 5.3), (40.7, 8.1), (35.4, 30.6), (8.8, 33.2)]
ROAD = [(30.1, -3.4), (50.3, -2.2), (58.8, 39.1), (50.9, 44.7)]
NAMES = [f"s{number}" for number in range(6)]
# The first scene has both, the second a road, all others nothing.
OUTLINES = {"s0": [("roof", ROOF), ("road", ROAD)], "s1": [("road", ROAD)]}
CODES = {"roof": 1, "road": 2}
Folder = Path


def by_hand(outlines: list[tuple[str, list[tuple[float, float]]]], codes: dict[str, int] = CODES) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label, ring in outlines:
        mask[shapely.contains_xy(shapely.Polygon(ring), x, y)] = codes[label]
    return mask


def flat(ring: list[tuple[float, float]]) -> list[float]:
    return [number for point in ring for number in point]


def write_images(folder: Path, where: str = "images") -> None:
    for seed, name in enumerate(NAMES):
        save(folder / where / f"{name}.png", picture(np.random.default_rng(seed), HEIGHT, WIDTH))


def coco(folder: Path) -> dict[str, Any]:
    images = [{"id": 7 + i, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH} for i, n in enumerate(NAMES)]
    categories = [{"id": 3, "name": "road"}, {"id": 9, "name": "roof"}]
    annotations = [
        {"id": 1, "image_id": 7 + NAMES.index(n), "category_id": {"road": 3, "roof": 9}[label],
         "segmentation": [flat(ring)], "bbox": [0, 0, 1, 1], "iscrowd": 0}
        for n, outlines in OUTLINES.items() for label, ring in outlines
    ]  # fmt: skip
    return {"images": images, "categories": categories, "annotations": annotations}


def labelme(outlines: list[tuple[str, list[tuple[float, float]]]]) -> dict[str, Any]:
    shapes = [{"label": label, "points": ring, "shape_type": "polygon"} for label, ring in outlines]
    return {"shapes": shapes, "imagePath": "x.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "imageData": None}


def write_coco(folder: Path) -> None:
    write_images(folder)
    (folder / "annotations.json").write_text(json.dumps(coco(folder)))


def write_labelme(folder: Path) -> None:
    write_images(folder)
    for name in NAMES:
        (folder / "images" / f"{name}.json").write_text(json.dumps(labelme(OUTLINES.get(name, []))))


def write_yolo(folder: Path) -> None:
    write_images(folder)
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("train: images\nnames: [road, roof]\n")
    for name in NAMES:
        lines = [
            " ".join(
                [str(["road", "roof"].index(label)), *(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in inside(ring))]
            )
            for label, ring in OUTLINES.get(name, [])
        ]
        (folder / "labels" / f"{name}.txt").write_text("\n".join(lines))


def inside(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    cut = shapely.Polygon(ring).intersection(shapely.box(0, 0, WIDTH, HEIGHT))
    return list(cut.exterior.coords)[:-1]


def write_roboflow(folder: Path) -> None:
    content = coco(folder)
    for split, part in (("train", NAMES[:4]), ("valid", NAMES[4:5]), ("test", NAMES[5:])):
        for name in part:
            save(folder / split / f"{name}.png", picture(np.random.default_rng(ord(name[1])), HEIGHT, WIDTH))
        images = [one for one in content["images"] if one["file_name"][:-4] in part]
        (folder / split / "_annotations.coco.json").write_text(json.dumps({**content, "images": images}))


def write_coco_from_elsewhere(folder: Path) -> None:
    write_images(folder)
    content = coco(folder)
    for one in content["images"]:
        one["file_name"] = f"C:\\work\\{one['file_name']}"
    (folder / "instances.json").write_text(json.dumps(content))


@pytest.mark.parametrize("write", [write_coco, write_labelme, write_yolo, write_roboflow, write_coco_from_elsewhere])
def test_what_annotation_tools_export_is_described_and_read(tmp_path: Path, write: Any) -> None:
    write(tmp_path)
    description, _ = described(tmp_path)
    assert {c.name for c in description.classes} == {"background", "road", "roof"}
    codes = {name: number for number, name in enumerate(description.class_names)}
    scenes = scenes_of(description, tmp_path)
    assert len(scenes) == len(NAMES)
    reader = SceneReader(description, tmp_path)
    for scene in scenes:
        name = Path(scene.image).stem
        wanted = by_hand(OUTLINES.get(name, []), codes)
        np.testing.assert_array_equal(reader.read(scene, 0, 0, HEIGHT, WIDTH)[1], wanted)
        np.testing.assert_array_equal(reader.read(scene, 9, 21, 13, 30)[1], wanted[9:22, 21:51])


def test_run_lengths_of_coco_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    wanted = np.array([[0, 1, 1], [0, 1, 0]], bool)
    # Column by column: 0 0 | 1 1 | 1 0.
    np.testing.assert_array_equal(run_lengths(tmp_path, [2, 3, 1], 2, 3), wanted)
    # 2, 3, 1 as single characters: 48 + number.
    np.testing.assert_array_equal(run_lengths(tmp_path, "231", 2, 3), wanted)
    # The fourth run is the difference to the second: 0, 40, 5, 50 has 0, 40, 5, 10; 40 = 8 + 1 * 32 is "X1".
    runs = run_lengths(tmp_path, "0X15:", 5, 19).T.ravel()
    assert runs.tolist() == [True] * 40 + [False] * 5 + [True] * 50
    # A negative difference: 9, 9, 9, 3 ends in -6, whose five bits are 11010 = 26, "J".
    runs = run_lengths(tmp_path, "999J", 5, 6).T.ravel()
    assert runs.tolist() == [False] * 9 + [True] * 9 + [False] * 9 + [True] * 3
    for counts in ([2, 3], "23", [7, -1]):
        with pytest.raises(DataError, match="run lengths of"):
            run_lengths(tmp_path, counts, 2, 3)


def read(folder: Path, kind: str, file: str, **changes: Any) -> np.ndarray:
    save(folder / "images" / "s0.png", picture(np.random.default_rng(0), HEIGHT, WIDTH))
    reader = SceneReader(description_of(kind, **changes), folder)
    from satsynth.rasters.reading import raster_info

    return reader.raw_mask(file, raster_info(folder / "images" / "s0.png"), None, "images/s0.png").values


def description_of(kind: str, **masks: Any) -> DatasetDescription:
    classes = [
        {"name": name, "raw": raw, "color": "#000000"}
        for name, raw in (("ground", "-"), *(("roof", "roof"), ("road", "road")))
    ]
    return describe(
        masks={"encoding": "attribute", "reader": kind, "outside": "ground", **masks},
        classes=classes,
        ignore=["unsure"],
    )


def test_masks_holes_and_order_of_coco(tmp_path: Path) -> None:
    content = coco(tmp_path)
    cells = np.zeros((HEIGHT, WIDTH), bool)
    cells[10:20, 10:50] = True
    flat_cells = cells.T.ravel()
    edges = np.flatnonzero(np.diff(flat_cells)) + 1
    runs = np.diff([0, *edges, flat_cells.size]).tolist()
    crowd = {
        "id": 2,
        "image_id": 7,
        "category_id": 9,
        "iscrowd": 1,
        "segmentation": {"counts": runs, "size": [HEIGHT, WIDTH]},
    }
    parts = [[0, 30, 8, 30, 8, 38, 0, 38], [20, 30, 28, 30, 28, 38, 20, 38], [1, 1]]
    content["annotations"] = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [flat(ROAD)]},
        crowd,
        {"id": 3, "image_id": 7, "category_id": 3, "segmentation": parts},
    ]
    (tmp_path / "coco.json").write_text(json.dumps(content))
    wanted = by_hand([("road", ROAD)])
    wanted[cells] = 1
    wanted[30:38, 0:8] = wanted[30:38, 20:28] = 2
    np.testing.assert_array_equal(read(tmp_path, "coco", "coco.json"), wanted)


def test_shapes_of_labelme(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.eye(5, dtype=np.uint8) * 255).save(buffer, "PNG")
    shapes = [
        {"label": "roof", "points": [[4, 6], [14, 16]], "shape_type": "rectangle"},
        {"label": "road", "points": [[30, 20], [30, 26]], "shape_type": "circle"},
        {"label": "roof", "points": [[50, 30], [54, 34]], "shape_type": "mask",
         "mask": base64.b64encode(buffer.getvalue()).decode()},
    ]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps({**labelme([]), "shapes": shapes}))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    wanted = np.zeros((HEIGHT, WIDTH), np.uint8)
    wanted[6:16, 4:14] = 1
    wanted[(x - 30) ** 2 + (y - 20) ** 2 < 36] = 2
    wanted[range(30, 35), range(50, 55)] = 1
    np.testing.assert_array_equal(read(tmp_path, "labelme", "a.json"), wanted)


@pytest.mark.parametrize(
    ("kind", "content", "said", "remedy"),
    [
        ("labelme", {**labelme([]), "imageWidth": 61}, "is for an image of 61 x 40 pixels", "was annotated"),
        ("labelme", labelme([("rood", ROOF)]), "1 polygon(s) whose label is 'rood'", "Did you mean"),
        ("labelme", {"shapes": [{"label": "roof", "points": [[1, 2]], "shape_type": "point"}]}, "'point'", "polygon"),
        ("labelme", {"shape": []}, "is no LabelMe file", "Export"),
        ("labelme", {"shapes": [{"label": "roof", "points": [[1, 2, 3], [1]]}]}, "no list of corners", "Export"),
        ("coco", {"images": [], "annotations": [], "categories": []}, "lists no image of the name s0.png", "`images`"),
        ("coco", {**coco(Path()), "annotations": [{"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}]},
         "has a box without an outline (annotation 5, road)", "segmentation"),
        ("coco", {"images": 3}, "is no COCO file", "Export"),
        ("yolo", "0 0.5 0.5 0.1 0.1", "holds a box in line 1", "polygons"),
        ("yolo", "0 0.5 0.5 0.1 0.1 0.9 3", "corners outside of the image in line 1", "shares"),
        ("yolo", "0 0.5 0.5 0.1 0.1 0.9", "5 numbers in line 1", "Export"),
        ("yolo", "roof 0.5 0.5 0.1 0.1 0.9 0.2", "line 1 that is no polygon", "Export"),
    ],
)  # fmt: skip
def test_annotations_that_cannot_be_used_are_named(
    tmp_path: Path, kind: str, content: Any, said: str, remedy: str
) -> None:
    (tmp_path / "a.x").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError) as caught:
        read(tmp_path, kind, "a.x")
    assert said in caught.value.problem and remedy in caught.value.remedy


def test_an_image_without_outlines_needs_a_class_for_background(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n")
    assert (read(tmp_path, "yolo", "a.txt") == 0).all()
    with pytest.raises(DataError, match="has no outlines") as caught:
        read(tmp_path, "yolo", "a.txt", outside=None)
    assert "`masks.outside`" in caught.value.remedy


def test_stamps_are_cut_at_every_edge() -> None:
    cells = np.ones((4, 4), bool)
    for place in ((-2, -2), (8, 8), (-2, 8), (3, 3), (20, 3), (-9, -9)):
        wanted = np.zeros((30, 30), np.uint8)
        wanted[10 + place[1] : 14 + place[1], 10 + place[0] : 14 + place[0]] = 5
        found = painted([Outline("a", cells=cells, place=place)], [5], (0, 0, 10, 10), 0)
        np.testing.assert_array_equal(found, wanted[10:20, 10:20])


def test_files_that_are_not_understood_are_named(tmp_path: Path) -> None:
    write_images(tmp_path)
    for name in NAMES:
        (tmp_path / "images" / f"{name}.xml").write_text("<annotation/>")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(DataError) as caught:
        propose(tmp_path, 0)
    assert r"6 .xml file(s) that look like Pascal VOC, 1 .md file(s)" in caught.value.problem
