"""The handle of a finished generator, whatever its family."""

from __future__ import annotations

from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.scenes.image_parts import ImagePart, parts_in
from satsynth.work.errors import AncestryError, listing
from satsynth.work.finished import Finished

REPAIR = "kedro run --pipeline=diffusion"
# Name among its parents of the generator whose weights it started from.
START = "start"


class SavedGenerator(Finished):
    """A finished generator; holds only its path and manifest, and is imported without PyTorch."""

    title = "generator"
    remedy = REPAIR

    @property
    def family(self) -> str:
        """Name of its family."""
        return str(self.manifest["family"])

    @property
    def scenes(self) -> set[str]:
        """Scenes that it was trained on."""
        return set(self.manifest["scenes"])

    @property
    def held_out_images(self) -> list[str]:
        """Scenes that were val or test, whose images it was allowed to see without their masks."""
        return list(self.manifest.get(HELD_OUT_IMAGES, ()))

    @property
    def image_parts(self) -> list[ImagePart]:
        """Parts of images that its scenes cover; none where an earlier version of satsynth trained it."""
        return parts_in(self.manifest)

    @property
    def class_names(self) -> list[str]:
        """Names in order of the class index."""
        return [c["name"] for c in self.manifest["classes"]]

    @property
    def tile_size(self) -> int:
        """Side of its pairs in pixels."""
        return int(self.manifest["tile_size"])


def require_unseen(generator: SavedGenerator, tiles: PairStore) -> None:
    """Refuse a generator that was trained on a scene of val or test.

    Raises:
        AncestryError: It saw such a scene.
    """
    seen = sorted(generator.scenes & {*tiles.scenes("val"), *tiles.scenes("test")})
    if seen:
        raise AncestryError(
            f"`generator` ({generator.path}) was trained on {len(seen)} scene(s) that are now val or test:\n"
            f"{listing(seen, 5)}",
            f"Train it again on the present splits: {REPAIR}",
        )


def require_family(generator: SavedGenerator, family: str) -> None:
    """Refuse a generator of another family than the one asked for.

    Raises:
        AncestryError: It is of another family.
    """
    if generator.family != family:
        raise AncestryError(
            f"`generator` ({generator.path}) is of the family '{generator.family}', but `generation.family` is "
            f"'{family}'.",
            f"Make one of that family: {REPAIR} --params=generation.family={family}",
        )
