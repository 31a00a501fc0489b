"""A cascade as a family of generators; imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.cascade.saved import ENLARGER, SMALL
from satsynth.diffusion.cascade.settings import CascadeSettings
from satsynth.diffusion.family import STEPS, require_drawable
from satsynth.generation.drawers import Drawer
from satsynth.generation.families import Report, Together
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import WorkFolder


class Cascade(Together):
    """Joint diffusion of small pairs, and a second diffusion model that enlarges them, image and mask.

    Sources: Toker et al., CVPR 2024, arXiv 2403.16605, for both models; Ho et al., arXiv 2106.15282, for the noise on
    what is enlarged.
    """

    name: ClassVar[str] = "cascade"
    training_version: ClassVar[int] = 1
    drawing_version: ClassVar[int] = 1
    drawing_files: ClassVar[tuple[str, ...]] = (SMALL, ENLARGER)
    settings = CascadeSettings

    def paints(self, settings: CascadeSettings) -> bool:
        """Return whether images and masks of the small pairs have noise levels of their own."""
        return settings.small.model.noise_levels == "separate"

    def require_layouts(self, settings: CascadeSettings, layouts: str) -> None:
        """Refuse layouts apart from images, or guidance, where the small pairs have one noise level in common."""
        require_drawable(layouts, self.paints(settings), settings.drawing.small.guidance, settings.small.tasks)

    def require_ready(self, settings: CascadeSettings, side: int) -> int | None:
        """Refuse tiles that cannot be reduced or cropped, or that one of the networks does not take."""
        if side % settings.factor or side < settings.enlarger.crop:
            raise SatSynthError(
                f"Tiles of {side} pixels do not fit `cascade.factor` {settings.factor} and `cascade.enlarger.crop` "
                f"{settings.enlarger.crop}.",
                "Choose a `tiling.tile_size` that is a multiple of the factor and not below the crop.",
            )
        check_size(settings.small.model.network, side // settings.factor, settings.small.cuts, "cascade.small")
        for size in (settings.enlarger.crop, side):
            check_size(settings.enlarger.model.network, size, group="cascade.enlarger")
        return None

    def seconds_an_image(self, settings: CascadeSettings, classes: int, side: int, compute: ComputeSettings) -> float:
        """Return how long training takes for each image, over both models in their shares of the budget."""
        from satsynth.diffusion.cascade.enlarging import seconds_a_crop
        from satsynth.diffusion.training import seconds_an_image

        small = seconds_an_image(settings.small, classes, side // settings.factor, compute, STEPS)
        large = seconds_a_crop(settings.enlarger, classes, settings.factor, compute, STEPS)
        return (settings.small.images * small + settings.enlarger.images * large) / settings.budget

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: CascadeSettings,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Train both models; see `satsynth.diffusion.cascade.training.train_cascade`."""
        from satsynth.diffusion.cascade.training import train_cascade

        train_cascade(folder, pairs, val, origin, settings, compute, report, unlabelled)

    def load(self, saved: SavedGenerator, settings: CascadeSettings, compute: ComputeSettings) -> Drawer:
        """Return both models in their averaged weights, on their device."""
        from satsynth.diffusion.cascade.drawing import CascadeDrawer
        from satsynth.diffusion.cascade.enlarger import Enlarger
        from satsynth.diffusion.generator import Generator, take_weights
        from satsynth.diffusion.model_settings import GeneratorSettings
        from satsynth.training.device import choose_device
        from satsynth.training.seeds import shared_random_state

        device, manifest = choose_device(compute), saved.manifest
        classes = len(manifest["classes"])
        with shared_random_state(0):
            small = Generator(GeneratorSettings(**manifest["small"]), classes)
            enlarger = Enlarger(GeneratorSettings(**manifest["enlarger"]), classes)
        take_weights(small, saved.file(SMALL), device)
        take_weights(enlarger, saved.file(ENLARGER), device)
        factor = int(manifest["factor"])
        return CascadeDrawer(small, enlarger, saved.tile_size, factor, settings.drawing, device, compute)


FAMILY = Cascade()
