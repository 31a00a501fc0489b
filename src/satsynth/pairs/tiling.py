"""Cutting scenes into tiles.

Tiles of training scenes and of unlabelled images lie on a regular grid of their stride, whole tiles only. Val and test
scenes are covered completely and each pixel counts once: the last tile of a row or column is shifted inwards, and what
its neighbour has covered already is set to ignore.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from satsynth.datasets.description import DatasetDescription
from satsynth.pairs.labels import LABELS, Labels, chosen_labels
from satsynth.pairs.pair import Pair, class_counts
from satsynth.pairs.required import kept_rows
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore, finish_store, write_shard
from satsynth.rasters.placement import Bounds, bounds_of
from satsynth.scenes.image_parts import image_parts, parts_entry
from satsynth.scenes.scene import Scene, ScenePart, SceneReader
from satsynth.scenes.splits import UNLABELLED, check_apart
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest
from satsynth.work.folder import WorkFolder
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.placement import HERE, Placement
from satsynth.work.units import Report, Unit, run_units

RESULT_VERSION = 6
# Splits that are cut on a regular grid, and what their scenes are called.
ON_A_GRID = {"train": "training", UNLABELLED: "unlabelled"}


@dataclass(frozen=True)
class Cut:
    """One tile to be cut from a scene, in scaled pixels.

    Args:
        scene: The scene.
        top: First row.
        left: First column.
        skip_rows: Rows at the top that a neighbour covers.
        skip_cols: Columns at the left that a neighbour covers.
    """

    scene: Scene
    top: int
    left: int
    skip_rows: int = 0
    skip_cols: int = 0


def grid_starts(length: int, tile: int, stride: int) -> list[int]:
    """Return the starts of all whole tiles along one side: none if the side is shorter than a tile."""
    return list(range(0, length - tile + 1, stride))


def cover_starts(length: int, tile: int) -> list[tuple[int, int]]:
    """Return (start, pixels covered already) of tiles that cover one side completely.

    A side shorter than a tile gets one tile, which the caller pads.
    """
    if length <= tile:
        return [(0, 0)]
    starts = [(start, 0) for start in range(0, length - tile + 1, tile)]
    covered = starts[-1][0] + tile
    if covered < length:
        starts.append((length - tile, covered - (length - tile)))
    return starts


def plan(scenes: Sequence[Scene], settings: TilingSettings, labels: Labels | None = None) -> list[Cut]:
    """Plan all tiles, in order of scene, row and column.

    Args:
        scenes: The scenes.
        settings: How to cut.
        labels: Which training scenes are labelled, where not all are.

    Raises:
        DataError: No training scene holds a whole tile, or no unlabelled one, if there are any beside the training
            scenes.
    """
    tile, cuts = settings.tile_size, []
    for scene in scenes:
        if scene.split in ON_A_GRID:
            rows = grid_starts(scene.height, tile, settings.stride)
            cols = grid_starts(scene.width, tile, settings.stride)
            cuts += [Cut(scene, top, left) for top in rows for left in cols]
        else:
            cuts += [
                Cut(scene, top, left, skip_rows, skip_cols)
                for top, skip_rows in cover_starts(scene.height, tile)
                for left, skip_cols in cover_starts(scene.width, tile)
            ]
    used = {cut.scene.split for cut in cuts}
    # Of training scenes without labels there may be few: they are left out with a warning.
    rest = labels.unused if labels is not None else ()
    for split, kind in ON_A_GRID.items():
        there = [scene for scene in scenes if scene.split == split and scene.scene_id not in rest]
        if there and split not in used:
            largest = max(there, key=lambda scene: min(scene.height, scene.width))
            raise DataError(
                f"`tiling.tile_size` is {tile}, but no {'labelled ' if labels and split == 'train' else ''}{kind} "
                f"scene is that large: the largest, {largest.scene_id}, is {largest.width} x {largest.height} pixels "
                "after scaling.",
                "Choose a smaller `tiling.tile_size` or a larger `scale` in the data set's "
                f"description{_others(labels)}.",
            )
    return cuts


def _others(labels: Labels | None) -> str:
    """Return what else to do where few training scenes are labelled."""
    return ", or other labelled scenes (`tiling.label_share`, `label_seed`, `label_scenes`)" if labels else ""


def cut_pairs(cuts: Sequence[Cut], reader: SceneReader, settings: TilingSettings) -> Iterator[Pair]:
    """Yield the tiles of some cuts, but those of training and unlabelled scenes only if they are worth keeping.

    Neighbours in a row of tiles are read together, and of a row of which no tile is kept the image is not read at all.
    """
    names, tile = reader.description.class_names, settings.tile_size
    for _, row in groupby(cuts, key=lambda cut: (cut.scene.scene_id, cut.top)):
        neighbours = list(row)
        scene, top, left = neighbours[0].scene, neighbours[0].top, neighbours[0].left
        height = min(tile, scene.height - top)
        width = min(neighbours[-1].left + tile, scene.width) - left
        part = ScenePart(reader, scene, top, left, height, width)
        masks = [_tile_mask(cut, part, tile) for cut in neighbours]
        if scene.split == UNLABELLED:
            kept = [part.invalid(cut.top, cut.left, tile, tile) <= settings.keep.max_ignore for cut in neighbours]
        elif scene.split == "train":
            counts = np.stack([class_counts(mask, len(names)) for mask in masks])
            kept = kept_rows(counts, tile * tile, settings.keep, names).tolist()
        else:
            kept = [True] * len(neighbours)
        for number in np.flatnonzero(kept):
            yield _pair(neighbours[number], part, masks[number], tile)


def _tile_mask(cut: Cut, part: ScenePart, tile: int) -> np.ndarray:
    """Read the mask of a tile; what a neighbour covers or lies outside of a small scene is ignored."""
    height, width = _size(cut, tile)
    mask = np.full((tile, tile), IGNORE_INDEX, np.uint8)
    whole = part.mask(cut.top, cut.left, height, width)
    mask[cut.skip_rows : height, cut.skip_cols : width] = whole[cut.skip_rows :, cut.skip_cols :]
    return mask


def _pair(cut: Cut, part: ScenePart, mask: np.ndarray, tile: int) -> Pair:
    """Read the image of a tile, mirrored outside of a small scene, and put the pair together."""
    scene, (height, width) = cut.scene, _size(cut, tile)
    image = part.image(cut.top, cut.left, height, width)
    if (height, width) != (tile, tile):
        image = np.pad(image, ((0, tile - height), (0, tile - width), (0, 0)), mode="symmetric")
    return Pair(
        f"{scene.scene_id}/{cut.top:05d}-{cut.left:05d}",
        image,
        mask,
        scene.split,
        scene.scene_id,
        cut.top,
        cut.left,
        scene.crs,
        _bounds(scene, cut, height, width),
    )


def _size(cut: Cut, tile: int) -> tuple[int, int]:
    return min(tile, cut.scene.height - cut.top), min(tile, cut.scene.width - cut.left)


def _bounds(scene: Scene, cut: Cut, height: int, width: int) -> Bounds | None:
    if scene.transform is None:
        return None
    fx, fy = scene.window[2] / scene.width, scene.window[3] / scene.height
    xs = [scene.window[0] + cut.left * fx, scene.window[0] + (cut.left + width) * fx]
    ys = [scene.window[1] + cut.top * fy, scene.window[1] + (cut.top + height) * fy]
    return bounds_of(scene.transform, xs, ys)


def cut_shard(path: Path, cuts: Sequence[Cut], reader: SceneReader, settings: TilingSettings, report: Report) -> None:
    """Cut one shard and write it: an independent unit of work."""
    write_shard(path, cut_pairs(cuts, reader, settings), reader.description.class_names)


def check_keep(settings: TilingSettings, class_names: Sequence[str]) -> None:
    """Refuse a `tiling.keep` that names a class which the data set does not have."""
    unknown = sorted(set(settings.keep.least.classes) - set(class_names)) if settings.keep.least else []
    if unknown:
        raise DataError(
            f"`tiling.keep.least.classes` names {unknown}; the classes are {list(class_names)}.", "Correct the name."
        )


def cut_scenes(
    folder: WorkFolder,
    scenes: Sequence[Scene],
    reader: SceneReader,
    settings: TilingSettings,
    workers: int,
    placement: Placement = HERE,
    digest: Callable[[Path], str] = file_digest,
) -> PairStore:
    """Cut all scenes into a pair store, shard by shard; shards that exist are kept.

    Args:
        folder: Where the shards go.
        scenes: The scenes.
        reader: Reads their windows.
        settings: How to cut.
        workers: Threads.
        placement: Where shards are cut.
        digest: Digest of a file's content.

    Raises:
        PartDone: The folder's share of the shards is cut.
        DataError: No tile fits, `keep` leaves no training tile, or `label_scenes` names no training scene.
    """
    check_apart(scenes, shared_masks=reader.description.masks.encoding == "attribute")
    # Of all scenes, those that are left out among them: a start must not have seen them either.
    more: dict[str, Any] = parts_entry(image_parts(scenes, reader.raw, digest))
    labels = chosen_labels(scenes, settings)
    if labels is not None:
        scenes = labels.applied(scenes)
    cuts = plan(scenes, settings, labels)
    size = settings.shard_tiles
    parts = [cuts[i : i + size] for i in range(0, len(cuts), size)]
    shards = [
        Unit(folder.result / f"tiles-{number:05d}.parquet", len(part), (part, reader, settings))
        for number, part in enumerate(parts)
    ]
    done = [shard for shard in shards if shard.outcome.exists()]
    missing = [shard for shard in shards if not shard.outcome.exists()]
    run_units(
        cut_shard,
        [*done, *_spread(missing, workers)],
        "Tiling",
        "tiles",
        "threads",
        workers,
        placement=placement,
        share=folder.share,
    )
    description: DatasetDescription = reader.description
    classes = [{"name": c.name, "color": list(c.color)} for c in description.classes]
    if not any(_has_training(shard.outcome) for shard in shards):
        raise DataError(
            f"`tiling.keep` left no training tile: of {len(cuts)} candidates of all splits, none of train is kept.",
            f"Loosen `tiling.keep`{_others(labels)}.",
        )
    more |= {"dataset": description.name, "keep": settings.keep.model_dump(mode="json")}
    if shown := sorted({scene.shows for scene in scenes if scene.shows}):
        more[HELD_OUT_IMAGES] = shown
    if labels is not None:
        more[LABELS] = labels.entry
    return finish_store(folder, classes, settings.tile_size, more)


def _spread(jobs: Sequence[Unit], workers: int) -> list[Unit]:
    """Return jobs in an order in which those done at the same time are far apart, so that each thread has a scene.

    Only towards the end, or where one giant scene is all there is, several threads work on one scene.
    """
    run = -(-len(jobs) // workers)
    return [jobs[place] for step in range(run) for place in range(step, len(jobs), run)]


def _has_training(path: Path) -> bool:
    return "train" in pq.read_table(path, columns=["split"]).column("split").unique().to_pylist()
