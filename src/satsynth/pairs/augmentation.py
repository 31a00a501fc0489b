"""Joint augmentation of image and mask, chosen by name. All randomness derives from the given seed."""

from __future__ import annotations

from collections.abc import Callable

import albumentations as A
import numpy as np

from satsynth.pairs.settings import AugmentationName
from satsynth.work.ignore import IGNORE_INDEX

Arrays = tuple[np.ndarray, np.ndarray]
Mix = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], Arrays]


class Augmentation:
    """Augments a pair. Some augmentations mix it with a second pair.

    All except ``none`` begin with one of the 8 symmetries of the square, for the second pair as well.

    Args:
        name: Name of the augmentation.
    """

    def __init__(self, name: AugmentationName) -> None:
        """Prepare the transforms."""
        self.mix: Mix | None = {"cutmix": cut_mix, "copy_paste": copy_paste}.get(name)
        self._turn = None if name == "none" else A.Compose([A.D4(p=1.0)])
        self._further = {"cutout": _cutout, "strong": _strong}[name]() if name in ("cutout", "strong") else None

    def turned(self, image: np.ndarray, mask: np.ndarray, seed: int) -> Arrays:
        """Rotate or mirror image ``(H, W, 3)`` and mask ``(H, W)`` together."""
        return (image, mask) if self._turn is None else _applied(self._turn, image, mask, seed)

    def further(self, image: np.ndarray, mask: np.ndarray, seed: int) -> Arrays:
        """Apply the transforms that follow rotation, if there are any."""
        return (image, mask) if self._further is None else _applied(self._further, image, mask, seed)


def _applied(transform: A.Compose, image: np.ndarray, mask: np.ndarray, seed: int) -> Arrays:
    transform.set_random_seed(seed)
    both = transform(image=image, mask=mask)
    return both["image"], both["mask"]


def _cutout() -> A.Compose:
    """Return Cutout: one rectangle, with sides of 1/4 to 1/2 of the tile's, becomes blank and is ignored in the mask.

    Source: DeVries and Taylor, arXiv 1708.04552.
    """
    side = (0.25, 0.5)
    hole = A.CoarseDropout(
        num_holes_range=(1, 1), hole_height_range=side, hole_width_range=side, fill=127, fill_mask=IGNORE_INDEX, p=1.0
    )
    return A.Compose([hole])


def _strong() -> A.Compose:
    """Return scaling, rotation by up to 45 degrees, colour jitter, blur and noise; pixels from outside are ignored."""
    return A.Compose(
        [
            A.Affine(
                scale=(0.7, 1.4),
                rotate=(-45, 45),
                shear=(-8, 8),
                interpolation=1,
                mask_interpolation=0,
                fill_mask=IGNORE_INDEX,
                p=0.7,
            ),
            A.ColorJitter(brightness=0.25, contrast=0.25, saturation=0.25, hue=0.03, p=0.8),
            A.GaussianBlur(blur_limit=(3, 5), p=0.2),
            A.GaussNoise(std_range=(0.01, 0.04), p=0.2),
        ]
    )


def cut_mix(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, other_mask: np.ndarray, random: np.random.Generator
) -> Arrays:
    """Replace a rectangle by that of another pair, labels included.

    The rectangle's share of the area is uniform; its sides are the tile's sides times the square root of that share.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8.
        other: Image of the partner.
        other_mask: Mask of the partner.
        random: Chooses position and size.

    Source: Yun et al., arXiv 1905.04899.
    """
    height, width = mask.shape
    part = np.sqrt(random.uniform())
    tall, wide = max(1, round(height * part)), max(1, round(width * part))
    top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
    place = np.s_[top : top + tall, left : left + wide]
    image, mask = image.copy(), mask.copy()
    image[place], mask[place] = other[place], other_mask[place]
    return image, mask


def copy_paste(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, other_mask: np.ndarray, random: np.random.Generator
) -> Arrays:
    """Paste half of another pair's classes onto a pair, in their original position.

    Semantic masks have no separate instances to copy, so all pixels of a class are copied together, as in ClassMix.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8.
        other: Image of the partner.
        other_mask: Mask of the partner.
        random: Chooses the classes: half of those in the partner's mask, rounded down, at least one.

    Source: Ghiasi et al., arXiv 2012.07177; Olsson et al., arXiv 2007.07936, for masks without instances.
    """
    present = np.setdiff1d(np.unique(other_mask), [IGNORE_INDEX])
    chosen = random.permutation(present)[: max(1, len(present) // 2)]
    pasted = np.isin(other_mask, chosen)
    return np.where(pasted[..., None], other, image), np.where(pasted, other_mask, mask)
