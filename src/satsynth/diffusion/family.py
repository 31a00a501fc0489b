"""Joint diffusion of images and masks as a family of generators; imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.settings import DenoiserSettings, DiffusionSettings
from satsynth.generation.families import Drawer, Report
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import WorkFolder


class JointDiffusion:
    """One diffusion model of images and masks together, the method of SatSynth.

    Source: Toker et al., CVPR 2024, arXiv 2403.16605.
    """

    name: ClassVar[str] = "diffusion"
    training_version: ClassVar[int] = 4
    drawing_version: ClassVar[int] = 4
    drawing_files: ClassVar[tuple[str, ...]] = (AVERAGED,)
    settings: type[DenoiserSettings] = DiffusionSettings

    def sources(self, settings: DenoiserSettings) -> dict[str, str]:
        """Return nothing: it reads real pairs only."""
        return {}

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: DenoiserSettings,
        compute: ComputeSettings,
        report: Report,
    ) -> None:
        """Train the denoiser; see `satsynth.diffusion.training.train_denoiser`."""
        from satsynth.diffusion.training import train_denoiser

        train_denoiser(folder, pairs, val, origin, settings, compute, report)

    def load(self, saved: SavedGenerator, settings: DenoiserSettings, compute: ComputeSettings) -> Drawer:
        """Return the generator in its averaged weights, on its device."""
        from satsynth.diffusion.drawing import JointDrawer
        from satsynth.diffusion.generator import load_generator
        from satsynth.training.device import choose_device

        device = choose_device(compute)
        return JointDrawer(load_generator(saved, device), saved.tile_size, settings.drawing, device, compute)


FAMILY = JointDiffusion()
