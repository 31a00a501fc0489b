"""What a generator to start from has seen, and whether it may be a start for other data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.store import PairStore
from satsynth.scenes.image_parts import ImagePart, parts_entry, seen_in
from satsynth.work.errors import AncestryError, listing


@dataclass(frozen=True)
class Seen:
    """Scenes that a generator has learned from.

    Args:
        names: Their identifiers.
        parts: The parts of images that they cover, as far as they are known.
    """

    names: frozenset[str] = frozenset()
    parts: frozenset[ImagePart] = frozenset()

    @classmethod
    def by(cls, generator: SavedGenerator) -> Seen:
        """Return what a finished generator has seen, images of held-out scenes included."""
        return cls(frozenset(generator.scenes.union(generator.held_out_images)), frozenset(generator.image_parts))

    @classmethod
    def of(cls, tiles: PairStore, split: str) -> Seen:
        """Return what a generator sees that learns from a split."""
        names = frozenset(tiles.scenes(split))
        return cls(names, frozenset(part for part in tiles.image_parts if part.scene_id in names))

    def __or__(self, other: Seen) -> Seen:
        """Return both."""
        return Seen(self.names | other.names, self.parts | other.parts)

    @property
    def entries(self) -> dict[str, Any]:
        """What the manifest of a generator says of it."""
        return {"scenes": sorted(self.names), **parts_entry(self.parts)}

    def among(self, scenes: Collection[str], tiles: PairStore) -> list[str]:
        """Return which of some scenes of a store were seen, by name or by content, in words."""
        known = seen_in((part for part in tiles.image_parts if part.scene_id in scenes), sorted(self.parts))
        copies = [f"{name}, whose image it saw as {other}" for name, other in known.items() if name not in self.names]
        return sorted([*self.names.intersection(scenes), *copies])


def require_held_out(seen: Seen, tiles: PairStore) -> None:
    """Refuse a start from a generator that has seen scenes which are held out here, or whose masks are not to be used.

    Args:
        seen: What it has seen.
        tiles: Real pairs.

    Raises:
        AncestryError: It saw such a scene, one of the same name, or the same image under another name.
    """
    held_out = {*tiles.scenes("val"), *tiles.scenes("test")}
    without_mask = "whose masks are not to be used here (`tiling.label_share`, `tiling.label_scenes`)"
    for scenes, what in ((held_out, "that are val or test here"), (set(tiles.unused_labels), without_mask)):
        found = seen.among(scenes, tiles)
        if found:
            raise AncestryError(
                f"The generator to start from was trained on {len(found)} scene(s) {what}:\n{listing(found, 5)}",
                "Start from a generator of other scenes, or from nothing.",
            )
