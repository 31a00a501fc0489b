"""Pairs of a fraction of the size, and what an enlarger is given of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.codes import LabelCode
from satsynth.pairs.stream import to_image, to_tensors
from satsynth.work.ignore import IGNORE_INDEX


def reduce_images(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Return the mean of each ``factor`` x ``factor`` pixels of images ``(B, 3, H, W)``."""
    return F.avg_pool2d(images, factor)


def reduce_masks(masks: torch.Tensor, factor: int, classes: int) -> torch.Tensor:
    """Return the most frequent class of each ``factor`` x ``factor`` pixels, of equally frequent ones the first.

    Args:
        masks: ``(B, H, W)`` int64 of class indices, 255 = ignore; where more pixels are ignored than have any one
            class, the result is ignored.
        factor: Pixels that become one, along a side.
        classes: Number of classes.

    Returns:
        ``(B, H / factor, W / factor)`` int64.
    """
    rows = torch.where(masks == IGNORE_INDEX, classes, masks)
    counts = F.avg_pool2d(F.one_hot(rows, classes + 1).movedim(-1, 1).float(), factor)
    found = counts.argmax(1)
    return torch.where(found == classes, IGNORE_INDEX, found)


def reduced(pairs: DecodedPairs, factor: int, classes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of a fraction of the size: images ``(H, W, 3)`` and masks ``(H, W)``, both uint8."""
    for number in range(len(pairs)):
        image, mask = (part[None] for part in to_tensors(*pairs[number]))
        small = reduce_masks(mask, factor, classes)
        yield to_image(reduce_images(image, factor))[0], small[0].to(torch.uint8).numpy()


def condition(images: torch.Tensor, masks: torch.Tensor, factor: int, code: LabelCode) -> torch.Tensor:
    """Return what an enlarger is given of small pairs: their channels, at the size of the result.

    Images are interpolated linearly and label channels by the nearest pixel, both aligned by the borders of the tile.

    Args:
        images: ``(B, 3, H, W)`` in [-1, 1].
        masks: ``(B, H, W)`` int64 of class indices, 255 = ignore.
        factor: Pixels that one becomes, along a side.
        code: Label code.

    Returns:
        ``(B, 3 + C, H * factor, W * factor)`` float32.
    """
    large = F.interpolate(images, scale_factor=factor, mode="bilinear", align_corners=False)
    return torch.cat([large, F.interpolate(code.encode(masks), scale_factor=factor, mode="nearest")], 1)
