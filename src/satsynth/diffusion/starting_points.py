"""Generators to start from: a finished one in a folder, or one that lies in the package. Imported without PyTorch."""

from __future__ import annotations

from pathlib import Path

from satsynth.generation.saved import SavedGenerator
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST

# A folder for each: the averaged weights in half precision, and a manifest that says where they come from.
SHIPPED = Path(__file__).parent / "starts"


def shipped() -> list[str]:
    """Return the names of the generators in the package."""
    return sorted(manifest.parent.name for manifest in SHIPPED.glob(f"*/{MANIFEST}"))


def starting_point(given: str) -> SavedGenerator:
    """Return the generator to start from.

    Args:
        given: Its folder, or a name among `shipped`.

    Raises:
        SatSynthError: It is neither.
        DamagedError: Its manifest is not what was written.
    """
    names = shipped()
    if given in names:
        return SavedGenerator(SHIPPED / given)
    if not (Path(given) / MANIFEST).exists():
        raise SatSynthError(
            f"{given} holds no finished generator (`diffusion.start_from`): {MANIFEST} is missing there, and the "
            f"package has {names or 'none'}.",
            "Name the folder of a finished generator or one of the package's, or leave `diffusion.start_from` out.",
        )
    return SavedGenerator(Path(given))
