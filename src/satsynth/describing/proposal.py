"""Assemble the proposed description of a folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satsynth.describing.annotations import propose_annotated_labels
from satsynth.describing.classes import propose_classes
from satsynth.describing.images import propose_images
from satsynth.describing.legend import Legend, find_legends
from satsynth.describing.matching import VECTORS, Matching, links_out, match_files, not_understood
from satsynth.describing.proposed import ProposedClasses
from satsynth.describing.splits import draw, propose_splits
from satsynth.describing.templates import Template, generalise
from satsynth.describing.values import count_values
from satsynth.describing.vectors import propose_vector_labels
from satsynth.rasters.placement import check_shape
from satsynth.rasters.reading import RasterInfo, raster_info
from satsynth.work.errors import DataError

SIZES_READ = 32


@dataclass(frozen=True)
class Proposal:
    """The proposed description of a folder.

    Args:
        scenes: Number of scenes.
        layout: The field `layout`.
        images: The field `images`; empty if images are 8-bit RGB.
        masks: The field `masks`.
        classes: Classes and ignored values.
        splits: The field `splits`.
        why_splits: How splits were chosen.
        notes: What could not be decided with certainty.
    """

    scenes: int
    layout: dict[str, Any]
    images: dict[str, Any]
    masks: dict[str, Any]
    classes: ProposedClasses
    splits: dict[str, Any]
    why_splits: str
    notes: list[str] = field(default_factory=list)


def propose(folder: Path, most_masks: int) -> Proposal:
    """Propose the description of a folder.

    Args:
        folder: Images and masks, at any depth.
        most_masks: Number of masks to read at most, or 0 for all of them.

    Raises:
        DataError: No pair of image and mask was found, or the pairs follow no common rule.
    """
    matching = match_files(folder)
    if not matching.pairs:
        raise DataError(
            f"No image with a mask was found below {folder}: {len(matching.without_mask)} image(s) "
            f"({', '.join(matching.without_mask[:3])}) and {len(matching.without_image)} mask(s) "
            f"({', '.join(matching.without_image[:3])}) have nothing in common. "
            f"Not read: {not_understood(folder) or 'nothing'}.",
            "Give the image and mask of a scene the same name in the folders `images` and `masks`, or add `_mask` to "
            "the name of the mask. Labels may also be GeoJSON, GeoPackage, COCO, LabelMe or polygons of YOLO.",
        )
    if len(matching.pairs) == 1:
        return _blocks(folder, *matching.pairs[0], matching.annotated, most_masks)
    others = matching.without_mask + matching.without_image + matching.passed_over
    template = generalise(matching.pairs, [*others, *(mask for _, mask in matching.pairs)])
    if template is None:
        raise DataError(
            f"{len(matching.pairs)} images have masks, but no single rule leads from image to mask, for example from "
            f"{matching.pairs[0][0]} to {matching.pairs[0][1]} and from {matching.pairs[-1][0]} to "
            f"{matching.pairs[-1][1]}.",
            "Describe parts of the folder separately, or rename the masks.",
        )
    splits = propose_splits(folder, template)
    masks, classes, notes = _labels(folder, splits.template, matching.annotated, most_masks)
    layout = {
        "kind": "files",
        "pattern": splits.template.pattern,
        "mask": splits.template.mask,
        "scene": splits.scene,
        "group": splits.group,
    }
    notes = [*matching.notes, *_leftovers(matching, template), *_links(folder), *notes, *splits.notes, *classes.notes]
    images, more = propose_images(folder, [image for image, _ in template.used])
    return Proposal(len(template.used), layout, images, masks, classes, splits.rule(), splits.why, [*notes, *more])


def _links(folder: Path) -> list[str]:
    links = links_out(folder)
    if not links:
        return []
    return [
        f"{len(links)} link(s) lead out of the folder, such as {links[0]}, and are not followed. Replace them by "
        "copies of their targets, or describe the folder that they lead to."
    ]


def _leftovers(matching: Matching, template: Template) -> list[str]:
    notes = []
    if matching.without_mask:
        left = set(template.left_out) & set(matching.without_mask)
        how = "--params=ingestion.on_bad_scene=skip skips them" if template.too_many else "the pattern leaves them out"
        notes.append(
            f"{len(matching.without_mask)} image(s) have no mask, such as {matching.without_mask[0]}"
            f"{f'; {how}' if left else ''}. When you have added their masks, describe the folder again; to let "
            "generators learn from images without masks, name their folder in `images: {unlabelled: [...]}`."
        )
    if matching.without_image:
        notes.append(
            f"{len(matching.without_image)} mask(s) have no image, such as {matching.without_image[0]}. Ingestion may "
            "refuse them: remove them, or skip them with --params=ingestion.on_bad_scene=skip."
        )
    if template.unlike:
        notes.append(
            f"{len(template.unlike)} pair(s) lie at another depth, such as {template.unlike[0][0]}, and are left out."
        )
    return notes


def _labels(
    folder: Path, template: Template, annotated: str, limit: int
) -> tuple[dict[str, Any], ProposedClasses, list[str]]:
    masks = sorted({mask for _, mask in template.used})
    if annotated:
        return propose_annotated_labels(folder, masks, annotated, limit)
    if masks[0].lower().endswith(VECTORS):
        return propose_vector_labels(folder, masks, limit)
    values = count_values(folder, masks, limit)
    legends = find_legends(folder, values.encoding)
    classes = propose_classes(values, _best(legends, set(values.pixels)))
    alignment, notes = _alignment(folder, template.used)
    transparent = {"transparent": "keep"} if values.transparent == "keep" else {}
    largest = classes.largest_distance
    nearest = {"nearest": {"largest_distance": largest}} if largest is not None else {}
    return {"encoding": values.encoding, **alignment, **transparent, **nearest}, classes, notes


def _best(legends: list[Legend], values: set[int]) -> Legend | None:
    return max(legends, key=lambda legend: len(values & legend.names.keys()), default=None)


def _alignment(folder: Path, pairs: list[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
    """Compare the sizes of some images and masks."""
    notes: list[str] = []
    compared, smallest, unlike, unfit = 0, 1 << 30, [], []
    for image, mask in pairs[:: max(1, len(pairs) // SIZES_READ)]:
        try:
            first, second = raster_info(folder / image), raster_info(folder / mask)
        except DataError as error:
            notes.append(error.problem)
            continue
        compared += 1
        smallest = min(smallest, first.height, first.width)
        if (first.height, first.width) == (second.height, second.width):
            continue
        unlike.append(f"{image} ({first.width} x {first.height}; its mask {second.width} x {second.height})")
        try:
            check_shape(folder / image, first, mask, second, "nearest")
        except DataError:
            unfit.append(unlike[-1])
    if smallest < 128:
        notes.append(
            f"Some images are only {smallest} pixels wide or high, less than a tile of 128 pixels. Reduce "
            "`tiling.tile_size` (a multiple of 8)."
        )
    if not unlike:
        return {}, notes
    if unfit or 2 * len(unlike) <= compared:
        notes.append(
            f"{len(unlike)} of {compared} masks that were read have another size than their image, such as "
            f"{(unfit or unlike)[0]}. Ingestion will list all of them. If they cover the same area at another "
            "resolution, set `align: nearest` under `masks`."
        )
        return {}, notes
    notes.append(
        f"Masks have another size than their image, such as {unlike[0]}, and are assumed to cover the same area "
        "(`align: nearest`)."
    )
    return {"align": "nearest"}, notes


def _blocks(folder: Path, image: str, mask: str, annotated: str, limit: int) -> Proposal:
    """Describe one large image, whose blocks are the scenes."""
    info = raster_info(folder / image)
    block = _block_side(info)
    columns, rows = info.width // block, info.height // block
    template = Template("", "", (), False, False, [(image, mask)], [], [], [])
    masks, classes, notes = _labels(folder, template, annotated, limit)
    val, test = draw(Counter({f"c{column:02d}": rows for column in range(columns)}), 0.2)
    layout = {"kind": "blocks", "image": image, "mask": mask, "block": block, "rows": [0, rows - 1]}
    notes.append(
        f"There is one image of {info.width} x {info.height} pixels. Its blocks of {block} x {block} pixels are the "
        f"scenes, and columns of blocks are the groups. {info.width - columns * block} columns and "
        f"{info.height - rows * block} rows of pixels at the edges are left out. Blocks of different splits touch; "
        "`layout.margin` keeps them apart."
    )
    why = "Columns of blocks from left to right: training, validation, test."
    images, more = propose_images(folder, [image])
    notes += [*classes.notes, *more]
    return Proposal(rows * columns, layout, images, masks, classes, {"val": val, "test": test}, why, notes)


def _block_side(info: RasterInfo) -> int:
    """Return the side of blocks, such that there are at least 5 columns if the image is large enough."""
    side = min(info.height, info.width // 5)
    if side < 128:
        side = min(info.height, info.width // 3)
    if side < 16:
        raise DataError(
            f"There is one image of {info.width} x {info.height} pixels, which is too small to be divided.",
            "Add scenes.",
        )
    return side // 8 * 8
