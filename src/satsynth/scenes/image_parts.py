"""The parts of images that scenes cover, by content: what data sets have in common, whatever their files are named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.rasters.handles import Window
from satsynth.scenes.scene import Scene

# Entry of a manifest.
IMAGE_PARTS = "image_parts"


@dataclass(frozen=True, order=True)
class ImagePart:
    """The part of an image that a scene covers.

    Args:
        scene_id: The scene.
        sha256: Digest of the image's file.
        window: (x, y, width, height) in the image's pixels.
    """

    scene_id: str
    sha256: str
    window: Window


def image_parts(scenes: Iterable[Scene], raw: Path, digest: Callable[[Path], str]) -> list[ImagePart]:
    """Return the part that each scene covers.

    Args:
        scenes: The scenes.
        raw: Their raw folder.
        digest: Digest of a file's content.
    """
    return [ImagePart(scene.scene_id, digest(raw / scene.image), scene.window) for scene in scenes]


def parts_entry(parts: Iterable[ImagePart]) -> dict[str, Any]:
    """Return what a manifest says of parts."""
    return {IMAGE_PARTS: [asdict(part) | {"window": list(part.window)} for part in sorted(parts)]}


def parts_in(manifest: Mapping[str, Any]) -> list[ImagePart]:
    """Return the parts that a manifest names: none where an earlier version of satsynth wrote it."""
    return [ImagePart(**{**part, "window": tuple(part["window"])}) for part in manifest.get(IMAGE_PARTS, ())]


def seen_in(parts: Iterable[ImagePart], others: Iterable[ImagePart]) -> dict[str, str]:
    """Return which scenes show a pixel that other scenes show too, each with the first of these.

    Args:
        parts: What the scenes cover.
        others: What the others cover.
    """
    by_image: dict[str, list[ImagePart]] = defaultdict(list)
    for other in others:
        by_image[other.sha256].append(other)
    corners = {image: np.array([other.window for other in same]).T for image, same in by_image.items()}
    found = {}
    for part in parts:
        if part.sha256 in by_image:
            x, y, width, height = corners[part.sha256]
            left, top, wide, high = part.window
            shared = (x < left + wide) & (left < x + width) & (y < top + high) & (top < y + height)
            if shared.any():
                found[part.scene_id] = by_image[part.sha256][int(shared.argmax())].scene_id
    return found
