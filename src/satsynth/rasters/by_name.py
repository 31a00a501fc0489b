"""Rasters of a folder by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satsynth.rasters.arrays import ARRAYS
from satsynth.rasters.opening import JPEG2000
from satsynth.work.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
IMAGES = (*PICTURES, *JPEG2000, *ARRAYS)


def rasters_by_name(folder: Path, suffixes: Sequence[str] = PICTURES) -> dict[str, Path]:
    """Return the files below a folder by their names without suffix, in order; hidden ones are left out.

    Raises:
        DataError: Two files differ only in their suffix.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        # Notebooks and macOS leave copies of pictures in hidden files and folders.
        hidden = any(part.startswith((".", "__MACOSX")) for part in below.parts)
        if path.suffix.lower() in suffixes and path.is_file() and not hidden:
            name = below.with_suffix("").as_posix()
            if name in found:
                raise DataError(
                    f"{found[name]} and {path} have the same name but for the suffix.", "Keep one of the two."
                )
            found[name] = path
    return found
