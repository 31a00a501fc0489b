"""Generators to start from: a finished one in a folder, or one that lies in the package. Imported without PyTorch."""

from __future__ import annotations

from pathlib import Path

from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.settings import AUTO, DenoiserSettings
from satsynth.generation.saved import START, SavedGenerator
from satsynth.generation.seen import Seen, require_held_out
from satsynth.pairs.store import PairStore
from satsynth.work.errors import AncestryError, SatSynthError
from satsynth.work.files import MANIFEST

# A folder for each: the averaged weights in half precision, and a manifest that says where they come from.
SHIPPED = Path(__file__).parent / "starts"
# Of a digest that stands for a name.
DIGITS = 12


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
    folder = Path(given).expanduser().absolute()
    if not (folder / MANIFEST).exists():
        raise SatSynthError(
            f"{folder} holds no finished generator (`diffusion.start_from`): {MANIFEST} is missing there, and the "
            f"package has {names or 'none'}.",
            "Name the folder of a finished generator or one of the package's, or start from nothing: "
            "--params=diffusion.start_from=",
        )
    return SavedGenerator(folder)


def start_of(settings: DenoiserSettings) -> SavedGenerator | None:
    """Return the generator that a training starts from; None for nothing, and for `auto` that is not settled."""
    start = settings.unaided().start_from
    return starting_point(start) if start else None


def start_named(generator: SavedGenerator) -> str | None:
    """Return what the weights of a generator started from: its name in the package, else its digest; None for nothing.

    Args:
        generator: A finished generator of any family.
    """
    digest = generator.parents.get(START)
    if digest is None:
        return None
    return next((name for name in shipped() if SavedGenerator(SHIPPED / name).digest == digest), digest[:DIGITS])


def fitting_start(given: str, settings: GeneratorSettings, tiles: PairStore) -> str:
    """Return which generator of the package `auto` stands for; any other name or folder as it is.

    It has the same network, noise levels and preconditioning, and has seen no scene that is held out here or whose mask
    is not to be used. One of the same classes comes first, then the first by name; none is the empty string.

    Args:
        given: `diffusion.start_from`.
        settings: What is to be trained.
        tiles: Real pairs.
    """
    if given != AUTO:
        return given
    saved = {name: SavedGenerator(SHIPPED / name) for name in shipped()}
    fitting = [name for name, generator in saved.items() if _fits(generator, settings, tiles)]
    return min(fitting, key=lambda name: saved[name].class_names != list(tiles.class_names), default="")


def _fits(saved: SavedGenerator, settings: GeneratorSettings, tiles: PairStore) -> bool:
    theirs, same = GeneratorSettings(**saved.manifest["model"]), ("network", "noise_levels", "preconditioning")
    if any(getattr(theirs, name) != getattr(settings, name) for name in same):
        return False
    try:
        require_held_out(Seen.by(saved), tiles)
    except AncestryError:
        return False
    return True
