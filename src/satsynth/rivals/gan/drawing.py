"""Drawing pairs from the GAN, and what is saved of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import load_file

from satsynth.generation.drawers import Request
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.stream import to_image
from satsynth.rivals.gan.family import AVERAGED
from satsynth.rivals.gan.generator import GanGenerator
from satsynth.rivals.gan.settings import GanDrawing, GanNetwork
from satsynth.training.device import autocast
from satsynth.training.seeds import generator as seeded
from satsynth.training.seeds import noise_source, shared_random_state
from satsynth.training.settings import ComputeSettings

# Latent vectors whose styles have the mean that truncation pulls to, and their seed.
LATENTS, MEAN_SEED = 1024, 20_240_617


class GanDrawer:
    """Draws pairs, each from random values of its own.

    Args:
        generator: The generator, on its device.
        settings: How to draw.
        device: Device of the generator.
        compute: How to compute.
    """

    distinct = None

    def __init__(
        self, generator: GanGenerator, settings: GanDrawing, device: torch.device, compute: ComputeSettings
    ) -> None:
        """Hold the generator, and find the mean style."""
        self._generator, self._device, self._compute = generator, device, compute
        self._truncation = settings.truncation
        latents = torch.randn(LATENTS, generator.latent, generator=seeded(MEAN_SEED)).to(device)
        with torch.inference_mode():
            self._mean = generator.styles(latents).mean(0)

    @torch.inference_mode()
    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers; see `satsynth.generation.drawers.Drawer`."""
        generator = self._generator
        noise = noise_source(request.seed, numbers, (generator.noise_size,), self._device)()
        with autocast(self._device, self._compute):
            styles = generator.styles(noise[:, : generator.latent])
            if self._truncation < 1:
                styles = self._mean.lerp(styles, self._truncation)
            images, logits = generator(styles, noise)
        return to_image(images), logits.argmax(1).to(torch.uint8).cpu().numpy()


def load_generator(saved: SavedGenerator, device: torch.device) -> GanGenerator:
    """Build a saved generator on a device, in its averaged weights."""
    network = GanNetwork.model_validate(saved.manifest["model"])
    with shared_random_state(0):
        generator = GanGenerator(network, saved.tile_size, len(saved.manifest["classes"]))
    generator.load_state_dict(load_file(saved.file(AVERAGED)))
    return generator.eval().to(device)
