"""One large image cut into blocks on a fixed grid: the scenes are blocks, with a margin where splits meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from satsynth.datasets.description import BlocksLayout, DatasetDescription
from satsynth.rasters.reading import raster_info
from satsynth.scenes.problems import BadFile
from satsynth.scenes.scene import Scene
from satsynth.scenes.splits import SPLITS, divide
from satsynth.work.errors import DataError


def block_scenes(description: DatasetDescription, layout: BlocksLayout, raw: Path) -> tuple[list[Scene], list[BadFile]]:
    """Return the blocks of an image as scenes with splits, and what the lists of splits name in vain.

    Args:
        description: The data set.
        layout: The image, its mask and the grid.
        raw: The raw folder.

    Raises:
        DataError: A file is missing or outside of the raw folder, or the grid does not fit.
    """
    for name in (layout.image, layout.mask):
        if not (raw / name).exists():
            raise DataError(
                f"{raw / name}, a part of the data set '{description.name}', is missing.", description.obtain
            )
        if not (raw / name).resolve().is_relative_to(raw.resolve()):
            raise DataError(
                f"{raw / name}, a part of the data set '{description.name}', lies outside of the raw folder.",
                "Copy it there, or name another folder with --params=raw=<folder>.",
            )
    info = raster_info(raw / layout.image)
    first, last = layout.rows
    side = layout.block
    rows, columns = info.height // side, info.width // side
    if not 0 <= first <= last < rows:
        raise DataError(
            f"`layout.rows: [{first}, {last}]` lies outside of the {rows} rows of blocks (0..{rows - 1}).",
            "Correct it.",
        )
    drafts = [
        Scene(
            f"r{row:02d}c{column:02d}",
            f"c{column:02d}",
            "",
            layout.image,
            layout.mask,
            (column * side, row * side, side, side),
            0,
            0,
            None,
            None,
            "",
        )
        for row in range(first, last + 1)
        for column in range(columns)
    ]
    scenes, bad = divide(drafts, description, raw)
    return with_margin(scenes, layout), bad


def with_margin(scenes: list[Scene], layout: BlocksLayout) -> list[Scene]:
    """Draw blocks back from neighbours of another split, diagonal ones too.

    Of two neighbours the one for training gives way, or else the one for validation: the test is covered whole, and
    any two blocks of different splits are at least the margin apart.

    Args:
        scenes: Whole blocks.
        layout: Their grid and the margin.
    """
    if not layout.margin:
        return scenes
    side, margin = layout.block, layout.margin
    rank = {(s.window[0] // side, s.window[1] // side): SPLITS.index(s.split) for s in scenes}
    drawn = []
    for scene in scenes:
        x, y, width, height = scene.window
        column, row = x // side, y // side
        left = right = top = bottom = 0
        for dx, dy in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy):
            if rank.get((column + dx, row + dy), 0) > rank[column, row]:
                # A diagonal neighbour is left behind sideways.
                left, right = max(left, margin * (dx < 0)), max(right, margin * (dx > 0))
                top, bottom = max(top, margin * (not dx and dy < 0)), max(bottom, margin * (not dx and dy > 0))
        window = (x + left, y + top, width - left - right, height - top - bottom)
        drawn.append(replace(scene, window=window))
    return drawn
