"""Scenes whose files have been opened: size, georeference and digest, without decoding pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from satsynth.rasters.belonging import belonging
from satsynth.rasters.handles import Window
from satsynth.rasters.reading import RasterInfo
from satsynth.scenes.found import AssignedScene
from satsynth.scenes.scene import Scene
from satsynth.work.errors import DataError
from satsynth.work.files import digest_of


def opened_scene(
    scene: AssignedScene, info: RasterInfo, scale: float, raw: Path, digest: Callable[[Path], str]
) -> Scene:
    """Return a scene with its size and digest.

    Args:
        scene: The scene.
        info: Size and georeference of its image.
        scale: Factor by which scenes are scaled.
        raw: The raw folder.
        digest: Digest of a file's content.

    Raises:
        DataError: A file cannot be opened.
    """
    window = scene.window or (0, 0, info.width, info.height)
    try:
        content = content_digest(scene, window, raw, digest)
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be opened ({error.strerror}).", "Give this user read access to it."
        ) from error
    return Scene(
        **{**vars(scene), "window": window},
        height=max(1, round(window[3] * scale)),
        width=max(1, round(window[2] * scale)),
        crs=info.crs,
        transform=info.transform,
        digest=content,
    )


def content_digest(scene: AssignedScene, window: Window, raw: Path, digest: Callable[[Path], str]) -> str:
    """Return the digest of a scene's files, of all that belongs to them, and of its window."""
    parts: list[Any] = []
    for name in (scene.image, scene.mask):
        if name:
            files, said = belonging(raw / name)
            parts += [digest(file) for file in files]
            parts += said
    return digest_of([*parts, list(window)])
