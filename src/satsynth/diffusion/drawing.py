"""Drawing pairs from a denoiser."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from satsynth.diffusion.denoiser import IMAGE_CHANNELS
from satsynth.diffusion.family import common_levels
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.network import memory_format
from satsynth.diffusion.samplers import Denoise, ddpm_levels, karras_levels, sampler_of
from satsynth.diffusion.settings import DiffusionDrawing
from satsynth.diffusion.windowing import Corner, blended, corners_of
from satsynth.generation.drawers import Request
from satsynth.pairs.stream import to_image
from satsynth.training.device import autocast
from satsynth.training.seeds import mixed_seed, noise_source
from satsynth.training.settings import ComputeSettings

# What a seed is used for beside joint pairs.
PAINTING, LAYING_OUT, UNSEEN, UNTOLD, LABELLING = 1, 2, 3, 4, 5


class JointDrawer:
    """Draws pairs by taking noise away: image and mask together, or one of them given the other.

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
        """Draw the pairs of some numbers; see `satsynth.generation.drawers.Drawer`."""
        generator = self._generator
        joint = self.solve(generator.channels, numbers, request.seed, generator.denoise(self._settings.clip))
        images, found = generator.split(joint)
        return to_image(images), to_masks(found)

    @torch.inference_mode()
    def paint(self, numbers: Sequence[int], masks: np.ndarray, seed: int) -> np.ndarray:
        """Draw an image for each mask.

        Args:
            numbers: B numbers; image i depends only on (seed, number i, mask i) and the kind of device.
            masks: ``(B, H, W)`` uint8 of class indices; 255 = ignore says that the class is not known there.
            seed: Seed of the set.

        Returns:
            ``(B, H, W, 3)`` uint8.

        Raises:
            SatSynthError: Image and mask have one noise level in common.
        """
        require_separate(self._generator)
        given = torch.from_numpy(np.array(masks)).to(self._device)
        painter = self._painter(given, self._untold(numbers, given.shape[1:], seed))
        return to_image(self.solve(IMAGE_CHANNELS, numbers, mixed_seed(seed, PAINTING), painter))

    @torch.inference_mode()
    def lay_out(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Draw masks ``(B, H, W)`` uint8 of some numbers, without images.

        Raises:
            SatSynthError: Image and mask have one noise level in common.
        """
        require_separate(self._generator)
        shape = (IMAGE_CHANNELS, self._side, self._side)
        unknown = noise_source(mixed_seed(seed, UNSEEN), numbers, shape, self._device)()
        denoise, code = self._generator.lay_out(unknown, self._settings.clip), self._generator.code
        return to_masks(code.decode(self.solve(code.channels, numbers, mixed_seed(seed, LAYING_OUT), denoise)))

    @torch.inference_mode()
    def paint_scene(self, number: int, mask: np.ndarray, seed: int, batch_size: int) -> np.ndarray:
        """Draw an image for a mask of at least a tile; see `satsynth.generation.drawers.SceneDrawer`."""
        require_separate(self._generator)
        whole = torch.from_numpy(np.array(mask)).to(self._device)
        untold = self._untold([number], whole.shape, seed)

        def painter(corners: Sequence[Corner]) -> Denoise:
            def cut(scene: torch.Tensor) -> torch.Tensor:
                return torch.stack([corner.cut(scene, self._side) for corner in corners])

            return self._painter(cut(whole), None if untold is None else cut(untold[0]))

        denoise = blended(corners_of(mask.shape, self._side), painter, self._side, batch_size)
        return to_image(self.solve(IMAGE_CHANNELS, [number], mixed_seed(seed, PAINTING), denoise, mask.shape))[0]

    @torch.inference_mode()
    def label_scene(self, number: int, image: np.ndarray, seed: int, batch_size: int) -> np.ndarray:
        """Draw a mask for an image of at least a tile; see `satsynth.generation.drawers.SceneDrawer`."""
        require_separate(self._generator)
        code, shape = self._generator.code, image.shape[:2]
        whole = torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)

        def labeller(corners: Sequence[Corner]) -> Denoise:
            images = torch.stack([corner.cut(whole, self._side) for corner in corners])
            return self._generator.label(images.float().div(127.5).sub(1), self._settings.clip)

        denoise = blended(corners_of(shape, self._side), labeller, self._side, batch_size)
        return to_masks(code.decode(self.solve(code.channels, [number], mixed_seed(seed, LABELLING), denoise, shape)))[
            0
        ]

    def _painter(self, masks: torch.Tensor, untold: torch.Tensor | None) -> Denoise:
        return self._generator.paint(masks.long(), self._settings.clip, self._settings.guidance, untold)

    def _untold(self, numbers: Sequence[int], shape: tuple[int, ...], seed: int) -> torch.Tensor | None:
        """Return noise in the place of masks ``(B, H, W)``, where a mask's weight needs an estimate without it."""
        if self._settings.guidance == 1:
            return None
        return noise_source(mixed_seed(seed, UNTOLD), numbers, (self._generator.code.channels, *shape), self._device)()

    def solve(
        self, channels: int, numbers: Sequence[int], seed: int, denoise: Denoise, shape: tuple[int, ...] | None = None
    ) -> torch.Tensor:
        """Take away noise by this drawer's sampler and noise levels.

        Args:
            channels: Channels C of the result.
            numbers: B numbers, by which noise is drawn.
            seed: Seed of the noise.
            denoise: The denoiser.
            shape: Rows and columns of the result; those of a pair if left out.

        Returns:
            ``(B, C, H, W)`` float32.
        """
        shape = shape or (self._side, self._side)
        source = noise_source(seed, numbers, (channels, *shape), self._device)

        def noise() -> torch.Tensor:
            return source().contiguous(memory_format=memory_format(self._device))

        sample = sampler_of(self._settings.sampler, noise)
        with autocast(self._device, self._compute):
            return sample(denoise, noise() * self._sigmas[0].item(), self._sigmas).float()


def require_separate(generator: Generator) -> None:
    """Refuse to draw a mask or an image given the other from a generator that can only draw both together.

    Raises:
        SatSynthError: Image and mask have one noise level in common.
    """
    if not generator.separate:
        raise common_levels("one of them given the other")


def to_masks(masks: torch.Tensor) -> np.ndarray:
    """Return masks as uint8, on the CPU."""
    return masks.to(torch.uint8).cpu().numpy()
