"""The GAN as a family of generators; imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from satsynth.generation.drawers import Drawer
from satsynth.generation.families import Report, Together
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.rivals.gan.settings import GanSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import WorkFolder

AVERAGED, HISTORY = "ema.safetensors", "history.json"


class Gan(Together):
    """A GAN over image and mask: StyleGAN2 with a mask beside the image, and a second discriminator of pairs.

    Source: Li et al., "Semantic Segmentation with Generative Models", CVPR 2021, arXiv 2104.05833.
    """

    name: ClassVar[str] = "gan"
    training_version: ClassVar[int] = 1
    drawing_version: ClassVar[int] = 1
    drawing_files: ClassVar[tuple[str, ...]] = (AVERAGED,)
    settings = GanSettings

    def require_ready(self, settings: GanSettings, side: int) -> int | None:
        """Refuse tiles that its networks do not take."""
        settings.network.sides(side)
        return None

    def seconds_an_image(self, settings: GanSettings, classes: int, side: int, compute: ComputeSettings) -> float:
        """Return how long training takes for each image; see `satsynth.rivals.gan.training.seconds_an_image`."""
        from satsynth.rivals.gan.training import seconds_an_image

        return seconds_an_image(settings, classes, side, compute)

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: GanSettings,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Train the three networks; see `satsynth.rivals.gan.training.train_gan`."""
        from satsynth.rivals.gan.training import train_gan

        train_gan(folder, pairs, val, origin, settings, compute, report, unlabelled)

    def load(self, saved: SavedGenerator, settings: GanSettings, compute: ComputeSettings) -> Drawer:
        """Return the generator in its averaged weights, on its device."""
        from satsynth.rivals.gan.drawing import GanDrawer, load_generator
        from satsynth.training.device import choose_device

        device = choose_device(compute)
        return GanDrawer(load_generator(saved, device), settings.drawing, device, compute)


FAMILY = Gan()
