"""Made folders as people keep their images and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from made_data import blobs, paint, picture, save
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 40


@dataclass(frozen=True)
class Layout:
    """Where image and mask of a scene lie.

    Args:
        scenes: Folders and names of the scenes.
        image: Path of an image, from folder and name.
        mask: Path of a mask, from folder and name.
    """

    scenes: list[tuple[str, str]]
    image: str
    mask: str


def _scenes(folders: Iterable[str], names: Iterable[str]) -> list[tuple[str, str]]:
    return [(folder, name) for folder in folders for name in names]


LAYOUTS = {
    "tiles": Layout(
        _scenes([f"Tile {i}" for i in range(1, 9)], ["p_1", "p_2"]), "{0}/images/{1}.jpg", "{0}/masks/{1}.png"
    ),
    "parallel": Layout(_scenes([""], [str(i) for i in range(12)]), "images/{1}.png", "masks/{1}.png"),
    "placed": Layout(
        _scenes([""], [f"{place}{i}" for place in ("austin", "kitsap", "tyrol", "vienna") for i in range(1, 4)]),
        "images/{1}.png",
        "gt/{1}.png",
    ),
    "split_below": Layout(
        _scenes(["train", "val", "test"], ["a", "b", "c"]), "img_dir/{0}/{1}.png", "ann_dir/{0}/{1}.png"
    ),
    "split_in_name": Layout(
        _scenes(["train", "val", "test"], ["a", "b", "c"]), "{0}_images/{1}.png", "{0}_masks/{1}.png"
    ),
    "affixes": Layout(_scenes([""], [str(100 + i) for i in range(9)]), "{1}_sat.jpg", "{1}_mask.png"),
    "mask_affix": Layout(_scenes([""], [f"s{i}" for i in range(9)]), "data/{1}.png", "data/{1}_mask.png"),
    "mask_prefix": Layout(_scenes([""], [f"s{i}" for i in range(9)]), "{1}.png", "mask_{1}.png"),
    "same_stem": Layout(_scenes(["a", "b", "c"], ["1", "2"]), "{0}/{1}.jpg", "{0}/{1}.png"),
    "scene_folders": Layout(_scenes(["s1", "s2", "s3", "s4"], ["x"]), "{0}/image.png", "{0}/mask.png"),
    "nested": Layout(
        _scenes(["train", "val"], [f"P{i:04d}" for i in range(20)]),
        "{0}/images/{1}.png",
        "{0}/Semantic_masks/images/{1}_instance_color_RGB.png",
    ),
    "words_above": Layout(
        _scenes([""], [f"{i:03d}" for i in range(9)]),
        "semantic_drone/original_images/{1}.jpg",
        "semantic_drone/label_images_semantic/{1}.png",
    ),
    "numbered": Layout(
        _scenes([""], [f"top_{i}_{j}" for i in (2, 3, 4) for j in (10, 11)]),
        "2_Ortho_RGB/{1}_RGB.png",
        "5_Labels_all/{1}_label.png",
    ),
    "split_twice": Layout(
        _scenes(["train", "val", "test"], ["7301", "7302"]),
        "{0}/{0}-org-img/{1}.jpg",
        "{0}/{0}-label-img/{1}_lab.png",
    ),
    "unmarked_images": Layout(
        _scenes(["train", "val", "test"], ["a", "b"]), "tiff/{0}/{1}.png", "tiff/{0}_labels/{1}.png"
    ),
    "wordless": Layout(_scenes([""], [str(i) for i in range(9)]), "x/{1}.png", "y/{1}.png"),
}


def write_layout(root: Path, layout: Layout, labels: Callable[[np.ndarray], np.ndarray] = paint) -> dict[str, str]:
    """Write a layout of noise and regions; return the mask of each image."""
    rng = np.random.default_rng(3)
    pairs = {}
    for folder, name in layout.scenes:
        image, mask = layout.image.format(folder, name), layout.mask.format(folder, name)
        save(root / image, picture(rng, SIDE, SIDE))
        save(root / mask, labels(_regions(rng)))
        pairs[image] = mask
    return pairs


def _regions(rng: np.random.Generator) -> np.ndarray:
    """Return a mask of which a hundredth is ignored: what is rare is taken for 'no label'."""
    mask = blobs(rng, SIDE, SIDE)
    mask[mask == IGNORE_INDEX] = 1
    mask[:4, :4] = IGNORE_INDEX
    return mask
