"""Families of generators by name: what each of them offers to all that is done with generators and their pairs.

A family lives in a package of its own and is imported when it is first asked for, without PyTorch. To add one, write
such a module with an object `FAMILY`, name it here, and give its parameters a group of the same name in `conf/base`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from pydantic import Field

from satsynth.generation.drawers import Drawer
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.store import PairStore
from satsynth.training import reporting
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import WorkFolder
from satsynth.work.frozen import Frozen

FAMILIES = {
    "diffusion": "satsynth.diffusion.family",
    "cascade": "satsynth.diffusion.cascade.family",
    "image_ddpm": "satsynth.diffusion.images",
    "gan": "satsynth.rivals.gan.family",
    "replay": "satsynth.rivals.replay",
    "folder": "satsynth.rivals.folder",
}

# Families that draw images without masks, each of whose pixels is ignored.
WITHOUT_MASKS = frozenset({"image_ddpm"})


class DrawingSettings(Frozen):
    """How pairs are drawn from a trained generator; a family without such parameters keeps this."""

    def identity(self) -> dict[str, Any]:
        """Return the parameters that decide a set of pairs."""
        return self.model_dump(mode="json")


class FamilySettings(Frozen):
    """Base of a family's parameters: `drawing` changes the pairs that are drawn, all others change the training."""

    drawing: DrawingSettings = DrawingSettings()

    def training_identity(self) -> dict[str, Any]:
        """Return the parameters that decide a trained generator."""
        return self.model_dump(mode="json", exclude={"drawing"})

    @property
    def budget(self) -> int | None:
        """Training budget in images, the parameter `images`; None where nothing is trained."""
        found: int | None = getattr(self, "images", None)
        return found

    def with_budget(self, images: int) -> Self:
        """Return the same parameters with another training budget; where nothing is trained, as they are."""
        return self if self.budget is None else self.model_copy(update={"images": images})

    def unaided(self) -> Self:
        """Return the parameters of a training that starts from nothing, unless they name what it starts from."""
        return self

    def require_processes(self, processes: int) -> None:
        """Refuse a number of processes that cannot share a training evenly; by default a training uses one of them.

        Raises:
            SatSynthError: They cannot.
        """

    def learns_from_images(self) -> bool:
        """Return whether images without masks are used, if there are any."""
        return False

    def require_unlabelled(self) -> None:
        """Refuse images without masks where a generator of these parameters is to learn from them and cannot.

        Raises:
            SatSynthError: It cannot.
        """


class ImageLearnerSettings(FamilySettings):
    """Parameters of a family that can learn how images look from images without masks."""

    unlabelled_share: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="Share of images without masks in the training, if the data set has any (`images.unlabelled`).",
    )

    def learns_from_images(self) -> bool:
        """Return whether they have a share."""
        return self.unlabelled_share > 0


class Report(reporting.Report, Protocol):
    """What the training of a generator reports to while it goes on."""

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        """Take pairs drawn after a step: images ``(N, H, W, 3)`` and masks ``(N, H, W)``, both uint8."""
        ...


class Silence(reporting.Silence):
    """A report that ignores everything."""

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        """Do nothing."""


class Family(Protocol):
    """A way of making pairs."""

    name: ClassVar[str]
    # Raised by a change of code that changes what is trained, or what is drawn from an equal generator.
    training_version: ClassVar[int]
    drawing_version: ClassVar[int]
    # Files of a finished generator that drawing needs, beside the manifest.
    drawing_files: ClassVar[tuple[str, ...]]

    @property
    def settings(self) -> type[FamilySettings]:
        """The model of its parameters."""
        ...

    def paints(self, settings: Any) -> bool:
        """Return whether a generator of these parameters draws an image for a given mask, and masks by themselves."""
        ...

    def require_layouts(self, settings: Any, layouts: str) -> None:
        """Refuse `sampling.layouts` that a generator of these parameters cannot draw.

        Raises:
            SatSynthError: It cannot.
        """
        ...

    def require_ready(self, settings: Any, side: int) -> int | None:
        """Refuse, before any work is done, parameters that no training can follow; nothing is computed for it.

        Args:
            settings: Its parameters.
            side: Side of a tile in pixels.

        Returns:
            Number of different pairs that it will be able to draw; None where there is no end.

        Raises:
            SatSynthError: Its networks do not take such tiles, or something that it reads is missing.
        """
        ...

    def seconds_an_image(self, settings: Any, classes: int, side: int, compute: ComputeSettings) -> float | None:
        """Return how long training takes here for each image, from a few steps; None where nothing is trained.

        Args:
            settings: Its parameters.
            classes: Number of classes.
            side: Side of a tile in pixels.
            compute: Where.
        """
        ...

    def settled(self, settings: Any, tiles: PairStore) -> Any:
        """Return its parameters with what they leave to the real pairs decided, such as `start_from: auto`."""
        ...

    def sources(self, settings: Any) -> dict[str, str]:
        """Return digests of what it reads beside the real pairs, by name.

        Raises:
            SatSynthError: Something of it is missing.
        """
        ...

    def seen_before(self, settings: Any) -> Seen:
        """Return the scenes that it has seen before its training on the real pairs."""
        ...

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: Any,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Train to the end of the budget, continuing what the folder holds, and finish the folder.

        Args:
            folder: Work folder.
            pairs: Real training pairs.
            val: Real pairs of held-out scenes, used only to measure.
            origin: ``family``, ``classes``, ``tile_size`` and the entries of `Seen`, for the manifest.
            settings: Its parameters.
            compute: Where.
            report: What the training reports to.
            unlabelled: Images without masks, all of whose pixels are ignored; only for a family whose settings say that
                it learns from them.
        """
        ...

    def load(self, saved: SavedGenerator, settings: Any, compute: ComputeSettings) -> Drawer:
        """Return a finished generator, ready to draw.

        Args:
            saved: The generator.
            settings: Its parameters, of which `drawing` is used.
            compute: Where.
        """
        ...


class Together:
    """What a family says that has images and masks together only, and reads real pairs only; others override it."""

    name: ClassVar[str]

    def paints(self, settings: Any) -> bool:
        """Return False."""
        return False

    def require_layouts(self, settings: Any, layouts: str) -> None:
        """Refuse all layouts but `joint`."""
        if layouts != "joint":
            raise only_together(self.name, layouts)

    def require_ready(self, settings: Any, side: int) -> int | None:
        """Refuse nothing: pairs of any size can be drawn, again and again."""
        return None

    def seconds_an_image(self, settings: Any, classes: int, side: int, compute: ComputeSettings) -> float | None:
        """Return nothing: it only keeps pairs."""
        return None

    def settled(self, settings: Any, tiles: PairStore) -> Any:
        """Return the parameters: they leave nothing to the real pairs."""
        return settings

    def sources(self, settings: Any) -> dict[str, str]:
        """Return nothing: it reads real pairs only."""
        return {}

    def seen_before(self, settings: Any) -> Seen:
        """Return nothing that is known."""
        return Seen()


def family_of(name: str) -> Family:
    """Return a family by its name."""
    found: Family = import_module(FAMILIES[name]).FAMILY
    return found


def only_together(family: str, layouts: str) -> SatSynthError:
    """Return the refusal of a family that has image and mask together only."""
    return SatSynthError(
        f"The family '{family}' has images and masks together only, so it cannot draw pairs with "
        f"`sampling.layouts: {layouts}`.",
        "Set `sampling.layouts: joint`, or `generation.family: diffusion`.",
    )
