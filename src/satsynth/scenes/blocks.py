"""One large image cut into blocks on a fixed grid: each block is a scene, with a margin where two splits meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from satsynth.datasets.description import BlocksLayout, DatasetDescription
from satsynth.datasets.places import inside
from satsynth.rasters.handles import Window
from satsynth.rasters.reading import raster_info
from satsynth.scenes.found import AssignedScene, FoundScene
from satsynth.scenes.problems import BadFile
from satsynth.scenes.splits import SPLITS, assign_splits
from satsynth.work.errors import DataError

# Column and row of a block in the grid.
Cell = tuple[int, int]


def block_scenes(
    description: DatasetDescription, layout: BlocksLayout, raw: Path
) -> tuple[list[AssignedScene], list[BadFile]]:
    """Return the blocks of an image as scenes with splits, and the entries of split lists that match no block.

    Args:
        description: The data set.
        layout: The image, its mask and the grid.
        raw: The raw folder.

    Raises:
        DataError: A file is missing or lies outside the raw folder, or the grid does not fit the image.
    """
    _check_files(description, layout, raw)
    cells = _cells(layout, raw)
    found = [
        FoundScene(f"r{row:02d}c{column:02d}", f"c{column:02d}", layout.image, layout.mask) for column, row in cells
    ]
    splits, bad = assign_splits(found, description, raw)
    split_of = {cell: split for cell, split in zip(cells, splits, strict=True) if split is not None}
    windows = block_windows(split_of, layout)
    return [
        AssignedScene(**vars(scene), split=split_of[cell], window=windows[cell])
        for cell, scene in zip(cells, found, strict=True)
        if cell in split_of
    ], bad


def _check_files(description: DatasetDescription, layout: BlocksLayout, raw: Path) -> None:
    for name in (layout.image, layout.mask):
        if not (raw / name).exists():
            raise DataError(
                f"{raw / name}, a part of the data set '{description.name}', is missing.", description.obtain
            )
        inside(raw, name)


def _cells(layout: BlocksLayout, raw: Path) -> list[Cell]:
    info = raster_info(raw / layout.image)
    first, last = layout.rows
    rows, columns = info.height // layout.block, info.width // layout.block
    if not 0 <= first <= last < rows:
        raise DataError(
            f"`layout.rows: [{first}, {last}]` lies outside the {rows} rows of blocks (0..{rows - 1}).",
            "Correct `layout.rows`, or make `layout.block` smaller.",
        )
    return [(column, row) for row in range(first, last + 1) for column in range(columns)]


def block_windows(splits: Mapping[Cell, str], layout: BlocksLayout) -> dict[Cell, Window]:
    """Return the window of each block, shrunk where a neighbour belongs to another split, diagonal ones included.

    Of two neighbours, the training block shrinks, or else the validation block. Test blocks therefore keep their full
    size, and any two blocks of different splits are at least the margin apart.

    Args:
        splits: Split of each block.
        layout: The grid and the margin.
    """
    side, margin = layout.block, layout.margin
    rank = {cell: SPLITS.index(split) for cell, split in splits.items()}
    windows = {}
    for column, row in splits:
        left = right = top = bottom = 0
        for dx, dy in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy):
            if rank.get((column + dx, row + dy), 0) > rank[column, row]:
                # A step sideways is enough to move away from a diagonal neighbour.
                left, right = max(left, margin * (dx < 0)), max(right, margin * (dx > 0))
                top, bottom = max(top, margin * (not dx and dy < 0)), max(bottom, margin * (not dx and dy > 0))
        windows[column, row] = (
            column * side + left,
            row * side + top,
            side - left - right,
            side - top - bottom,
        )
    return windows
