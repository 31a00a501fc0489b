"""The handle of a finished generator, whatever its family."""

from __future__ import annotations

from satsynth.pairs.store import PairStore
from satsynth.work.errors import AncestryError, listing
from satsynth.work.finished import Finished


class SavedGenerator(Finished):
    """A finished generator; holds its path and manifest only, and is imported without PyTorch."""

    title = "generator"
    remedy = "kedro run --pipeline=diffusion"

    @property
    def scenes(self) -> set[str]:
        """Scenes that it was trained on."""
        return set(self.manifest["scenes"])

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
            "Train it again on the present splits: kedro run --pipeline=diffusion",
        )
