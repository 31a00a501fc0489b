"""What generators of any family draw: pairs, masks and images for one another, whole scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Request:
    """What belongs to a set of pairs and not to the method that draws it.

    Args:
        seed: Seed of the set.
    """

    seed: int


class Drawer(Protocol):
    """A generator ready to draw."""

    @property
    def distinct(self) -> int | None:
        """Number of different pairs that it can draw; None where there is no end."""
        ...

    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers.

        Args:
            numbers: B pair numbers; pair i depends only on (request, i) and the kind of device.
            request: What is asked of the set.

        Returns:
            Images ``(B, H, W, 3)`` uint8 and masks ``(B, H, W)`` uint8 of class indices, 255 = ignore.
        """
        ...


@runtime_checkable
class LayoutDrawer(Drawer, Protocol):
    """A generator that draws a mask by itself, and an image for a mask that it is given."""

    def lay_out(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Draw masks ``(B, H, W)`` uint8 of some numbers; mask i depends only on (seed, i) and the kind of device."""
        ...

    def paint(self, numbers: Sequence[int], masks: np.ndarray, seed: int) -> np.ndarray:
        """Draw an image for each mask.

        Args:
            numbers: B numbers; image i depends only on (seed, number i, mask i) and the kind of device.
            masks: ``(B, H, W)`` uint8 of class indices, 255 = ignore.
            seed: Seed of the set.

        Returns:
            ``(B, H, W, 3)`` uint8.
        """
        ...


@runtime_checkable
class SceneDrawer(LayoutDrawer, Protocol):
    """A generator that draws whole scenes: images for masks, and masks for images."""

    def paint_scene(self, number: int, mask: np.ndarray, seed: int, batch_size: int) -> np.ndarray:
        """Draw an image for a mask of any size from a tile up, without seams.

        Args:
            number: Its number; the image depends only on (seed, number, mask) and the kind of device. Of a mask of
                one tile, it is that of `paint`.
            mask: ``(H, W)`` uint8 of class indices, 255 = ignore.
            seed: Seed of the set.
            batch_size: Tiles that are computed at once.

        Returns:
            ``(H, W, 3)`` uint8.
        """
        ...

    def label_scene(self, number: int, image: np.ndarray, seed: int, batch_size: int) -> np.ndarray:
        """Draw a mask for an image of any size from a tile up, without seams.

        Args:
            number: Number of the draw; the mask depends only on (seed, number, image) and the kind of device.
            image: ``(H, W, 3)`` uint8.
            seed: Seed of the set.
            batch_size: Tiles that are computed at once.

        Returns:
            ``(H, W)`` uint8 of class indices.
        """
        ...
