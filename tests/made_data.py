"""Made data: colour-mask scenes in folders of groups, and small pair stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from satsynth.datasets.description import DatasetDescription
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.files import file_digest
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX

COLORS = {0: (226, 169, 41), 1: (132, 41, 246), 2: (60, 16, 152), IGNORE_INDEX: (155, 155, 155)}
CLASSES = [
    {"name": "water", "raw": "#E2A929", "color": "#0000FF"},
    {"name": "land", "raw": "#8429F6", "color": "#00FF00"},
    {"name": "building", "raw": "#3C1098", "color": "#FF0000"},
]
NAMES = [spec["name"] for spec in CLASSES]
# (group, name): (height, width). No side of a val or test scene is a multiple of 32.
SIZES = {
    ("north", "a"): (96, 70),
    ("north", "b"): (64, 64),
    ("south", "a"): (65, 100),
    ("east", "a"): (70, 33),
    ("west", "a"): (45, 101),
    ("west", "b"): (20, 50),
}


def settings(**changes: Any) -> dict[str, Any]:
    """Return the raw description of a made data set, with some fields changed."""
    return {
        "name": "made",
        "title": "Made data",
        "licence": "none",
        "obtain": "Ask the tests for it.",
        "raw": "data/01_raw/made",
        "layout": {
            "kind": "files",
            "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.png",
            "mask": "{group}/masks/{name}.png",
            "scene": "{group}/{name}",
            "group": "{group}",
        },
        "masks": {"encoding": "color"},
        "classes": CLASSES,
        "ignore": ["#9B9B9B"],
        "splits": {"val": ["east"], "test": ["west"]},
        **changes,
    }


def describe(**changes: Any) -> DatasetDescription:
    """Return the description of a made data set, with some fields changed."""
    return DatasetDescription.model_validate(settings(**changes))


def blobs(rng: np.random.Generator, height: int, width: int, classes: int = 3) -> np.ndarray:
    """Return a mask of rectangular regions, ``(height, width)`` uint8, a tenth of them ignored."""
    cells = rng.integers(0, classes, (height // 7 + 1, width // 5 + 1)).astype(np.uint8)
    cells[rng.random(cells.shape) < 0.1] = IGNORE_INDEX
    return np.kron(cells, np.ones((7, 5), np.uint8))[:height, :width]


def picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return an image of noise, ``(height, width, 3)`` uint8."""
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def paint(mask: np.ndarray) -> np.ndarray:
    """Return class indices as raw colours, ``(H, W, 3)`` uint8."""
    table = np.zeros((256, 3), np.uint8)
    for index, color in COLORS.items():
        table[index] = color
    return table[mask]


def save(path: Path, array: np.ndarray) -> None:
    """Write an array by Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@dataclass(frozen=True)
class MadeData:
    """A data set on disk, and what was written there.

    Args:
        raw: Its raw folder.
        description: Its description.
        images: Image of each scene.
        masks: Class indices of each scene.
    """

    raw: Path
    description: DatasetDescription
    images: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    def scenes(self) -> list[Scene]:
        """Find the scenes."""
        return find_scenes(self.description, self.raw, file_digest)

    def reader(self) -> SceneReader:
        """Return a reader of the scenes."""
        return SceneReader(self.description, self.raw)


def make_data(raw: Path, sizes: Mapping[tuple[str, str], tuple[int, int]] = SIZES, **changes: Any) -> MadeData:
    """Write a data set; equal arguments give equal files."""
    rng = np.random.default_rng(1)
    images, masks = {}, {}
    for (group, name), (height, width) in sizes.items():
        image, mask = picture(rng, height, width), blobs(rng, height, width)
        save(raw / group / "images" / f"{name}.png", image)
        save(raw / group / "masks" / f"{name}.png", paint(mask))
        images[f"{group}/{name}"], masks[f"{group}/{name}"] = image, mask
    return MadeData(raw, describe(**changes), images, masks)


def made_pairs(count: int, side: int = 16, split: str = "train", seed: int = 0) -> list[Pair]:
    """Return pairs of noise and regions."""
    rng = np.random.default_rng(seed)
    return [
        Pair(f"{split}-{i:05d}", picture(rng, side, side), blobs(rng, side, side), split, f"scene {i % 3}", i, 2 * i)
        for i in range(count)
    ]


def write_store(
    root: Path,
    pairs: Iterable[Pair],
    side: int = 16,
    shard: int = 200,
    names: Sequence[str] = NAMES,
    parents: Mapping[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> PairStore:
    """Write pairs as a finished store below ``root``, with its parents' digests and more for its manifest."""
    rows = list(pairs)
    classes = [{"name": name, "color": [9, 8, index]} for index, name in enumerate(names)]
    with work_folder(root, Step("store", 1, parents or {}, {"pairs": [pair.pair_id for pair in rows]})) as folder:
        for start in range(0, len(rows), shard):
            path = folder.result / f"pairs-{start // shard:05d}.parquet"
            write_shard(path, rows[start : start + shard], list(names))
        return finish_store(folder, classes, side, extra)
