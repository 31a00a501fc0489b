"""Pairs made elsewhere, by any tool: a user's GAN, or a colleague's diffusion model, judged by the same pipelines."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from satsynth.generation.drawers import Drawer, Request
from satsynth.generation.families import FamilySettings, Report, Together
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen
from satsynth.pairs.cache import DecodedPairs, write_decoded
from satsynth.rivals.reading import find_pairs
from satsynth.rivals.stored import STORED, stored_pairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import digest_of, file_digest
from satsynth.work.folder import WorkFolder

log = logging.getLogger(__name__)
# What a seed is used for.
ORDER = 0


class FolderSettings(FamilySettings):
    """Pairs made elsewhere."""

    path: str = Field(
        default="",
        description="Folder with `images/` and `masks/`, files of equal names, and perhaps the `classes.json` of an "
        "export; or a Parquet file, or a folder of them, with the columns `image` and `mask`. Relative to the project.",
    )
    encoding: Literal["index", "color"] = Field(
        default="index",
        description="How masks without `classes.json` are read. `index`: class indices from 0, 255 = ignored. `color`: "
        "the display colours of the classes.",
    )


class FolderDrawer:
    """Draws the pairs of a folder in an order of the seed's, each once.

    Args:
        pairs: The pairs.
    """

    def __init__(self, pairs: DecodedPairs) -> None:
        """Hold the pairs."""
        self._pairs = pairs

    @property
    def distinct(self) -> int:
        """Number of pairs."""
        return len(self._pairs)

    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers; see `satsynth.generation.drawers.Drawer`.

        Numbers beyond the last pair, by which a batch is filled, begin again.
        """
        order = np.random.default_rng([request.seed, ORDER]).permutation(len(self._pairs))
        drawn = [self._pairs[int(order[number % len(order)])] for number in numbers]
        images, masks = (np.stack(part) for part in zip(*drawn, strict=True))
        return images, masks


class Folder(Together):
    """Pairs that another tool has made, as if a generator had drawn them."""

    name: ClassVar[str] = "folder"
    training_version: ClassVar[int] = 1
    drawing_version: ClassVar[int] = 1
    drawing_files: ClassVar[tuple[str, ...]] = STORED
    settings = FolderSettings

    def require_ready(self, settings: FolderSettings, side: int) -> int | None:
        """Return the number of pairs in the folder; refuse one without pairs."""
        return len(find_pairs(settings.path, settings.encoding))

    def sources(self, settings: FolderSettings) -> dict[str, str]:
        """Return the digest of all files that will be read.

        Raises:
            DataError: There are none.
        """
        files = find_pairs(settings.path, settings.encoding).files()
        return {"folder": digest_of([[name, file_digest(path)] for name, path in sorted(files.items())])}

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: FolderSettings,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Read all pairs and keep them.

        Raises:
            DataError: A file cannot be read, has another size than the tiles, or a value that is no class.
        """
        found = find_pairs(settings.path, settings.encoding)
        log.info("Folder: %d pairs in %s", len(found), settings.path)
        log.warning(
            "Folder: satsynth cannot check which scenes these pairs were made from. Scores are worth nothing if their "
            "maker saw a scene of val or test."
        )
        side = int(origin["tile_size"])
        write_decoded(folder.result, len(found), side, found.read(side, origin["classes"]))
        # What its maker saw is not known, so no scenes are claimed.
        folder.finish({"kind": "generator", "pairs": len(found), **origin, **Seen().entries}, STORED)

    def load(self, saved: SavedGenerator, settings: FolderSettings, compute: ComputeSettings) -> Drawer:
        """Return the kept pairs, ready to be drawn."""
        return FolderDrawer(stored_pairs(saved))


FAMILY = Folder()
