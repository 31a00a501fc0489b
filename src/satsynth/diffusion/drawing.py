"""Drawing pairs from a denoiser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.samplers import ddpm_levels, karras_levels, sampler_of
from satsynth.diffusion.settings import DiffusionDrawing
from satsynth.generation.families import Request
from satsynth.pairs.stream import to_image
from satsynth.training.device import autocast
from satsynth.training.seeds import noise_source
from satsynth.training.settings import ComputeSettings


class JointDrawer:
    """Draws joint pairs by taking noise away.

    Args:
        generator: The generator, on its device.
        side: Side of a pair in pixels.
        settings: How to draw.
        device: Device of the generator.
        compute: How to compute.
    """

    distinct = None

    def __init__(
        self,
        generator: Generator,
        side: int,
        settings: DiffusionDrawing,
        device: torch.device,
        compute: ComputeSettings,
    ) -> None:
        """Hold the generator and the noise levels."""
        self._generator, self._side, self._settings = generator, side, settings
        self._device, self._compute = device, compute
        if settings.schedule == "ddpm":
            self._sigmas = ddpm_levels(settings.steps)
        else:
            self._sigmas = karras_levels(settings.steps, settings.sigma_min, settings.sigma_max, settings.rho)

    @torch.inference_mode()
    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers; see `satsynth.generation.families.Drawer`."""
        shape = (self._generator.channels, self._side, self._side)
        source = noise_source(request.seed, numbers, shape, self._device)

        def noise() -> torch.Tensor:
            return source().contiguous(memory_format=torch.channels_last)

        sample = sampler_of(self._settings.sampler, noise)
        with autocast(self._device, self._compute):
            denoise = self._generator.denoise(self._settings.clip)
            joint = sample(denoise, noise() * self._sigmas[0].item(), self._sigmas)
        images, masks = self._generator.split(joint.float())
        return to_image(images), masks.to(torch.uint8).cpu().numpy()
