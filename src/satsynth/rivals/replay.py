"""Real training pairs drawn again: what each measure gives for a generator that copies its training pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from satsynth.generation.drawers import Drawer, Request
from satsynth.generation.families import FamilySettings, Report, Together
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs, write_decoded
from satsynth.rivals.stored import STORED, stored_pairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import atomic, link_or_copy
from satsynth.work.folder import WorkFolder

# What a seed is used for.
ORDER, TURN = 0, 1


class ReplaySettings(FamilySettings):
    """Real training pairs, drawn again."""

    turned: bool = Field(
        default=False, description="Whether pairs are flipped and rotated, as in training, or exact copies."
    )


class ReplayDrawer:
    """Draws training pairs: each once in an order of the seed's, then each once more in another, and so on.

    Args:
        pairs: The training pairs.
        settings: Whether they are turned.
    """

    distinct = None

    def __init__(self, pairs: DecodedPairs, settings: ReplaySettings) -> None:
        """Hold the pairs."""
        self._pairs = pairs
        self._order = lru_cache(maxsize=4)(self._shuffled)
        self._symmetries: Any = None
        if settings.turned:
            # Imported here: albumentations takes seconds.
            from satsynth.pairs.augmentation import Augmentation

            self._symmetries = Augmentation("flips")

    def _shuffled(self, seed: int, time: int) -> np.ndarray:
        return np.random.default_rng([seed, ORDER, time]).permutation(len(self._pairs))

    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers; see `satsynth.generation.drawers.Drawer`."""
        drawn = []
        for number in numbers:
            time, place = divmod(number, len(self._pairs))
            image, mask = self._pairs[int(self._order(request.seed, time)[place])]
            if self._symmetries is not None:
                seed = int(np.random.SeedSequence([request.seed, TURN, number]).generate_state(1)[0])
                image, mask = self._symmetries.turned(np.asarray(image), np.asarray(mask), seed)
            drawn.append((image, mask))
        images, masks = (np.stack(part) for part in zip(*drawn, strict=True))
        return images, masks


class Replay(Together):
    """The control for memorisation, and for every measure of fidelity, whose best possible values it shows."""

    name: ClassVar[str] = "replay"
    training_version: ClassVar[int] = 1
    drawing_version: ClassVar[int] = 1
    drawing_files: ClassVar[tuple[str, ...]] = STORED
    settings = ReplaySettings

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: ReplaySettings,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Keep the training pairs; those that lie in files are linked, not copied."""
        if pairs.mapped is None:
            write_decoded(folder.result, len(pairs), int(origin["tile_size"]), (pairs[i] for i in range(len(pairs))))
        else:
            for name in STORED:
                with atomic(folder.result / name) as temporary:
                    link_or_copy(pairs.mapped / name, temporary)
        folder.finish({"kind": "generator", "pairs": len(pairs), **origin}, STORED)

    def load(self, saved: SavedGenerator, settings: ReplaySettings, compute: ComputeSettings) -> Drawer:
        """Return the kept pairs, ready to be drawn."""
        return ReplayDrawer(stored_pairs(saved), settings)


FAMILY = Replay()
