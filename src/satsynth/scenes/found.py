"""Scenes whose files have been found and not yet opened."""

from __future__ import annotations

from dataclasses import dataclass

from satsynth.rasters.handles import Window


@dataclass(frozen=True)
class FoundScene:
    """An image and the mask that belongs to it, known by their paths only.

    Args:
        scene_id: Name of the scene. It is unique in a data set that can be used.
        group: Name of the group of neighbouring scenes.
        image: Path of the image below the raw folder. Unlabelled images may lie elsewhere.
        mask: Path of the mask below the raw folder; empty if there is none.
    """

    scene_id: str
    group: str
    image: str
    mask: str


@dataclass(frozen=True)
class AssignedScene(FoundScene):
    """A found scene that has been assigned to a split.

    Args:
        split: ``train``, ``val``, ``test`` or ``unlabelled``.
        window: (x, y, width, height) in the image's pixels, or None for the whole image.
    """

    split: str
    window: Window | None
