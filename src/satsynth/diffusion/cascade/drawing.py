"""Drawing from a cascade: small pairs, then their enlargement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from satsynth.diffusion.cascade.enlarger import Enlarger
from satsynth.diffusion.cascade.reduction import condition, reduce_masks
from satsynth.diffusion.cascade.settings import CascadeDrawing
from satsynth.diffusion.denoiser import IMAGE_CHANNELS
from satsynth.diffusion.drawing import JointDrawer, to_masks
from satsynth.diffusion.generator import Generator
from satsynth.generation.drawers import Request
from satsynth.pairs.stream import to_image
from satsynth.training.seeds import mixed_seed, noise_source
from satsynth.training.settings import ComputeSettings

# What a seed is used for beside the small pairs.
ENLARGING, CONDITION, SMALL_OF_LAYOUT = 11, 12, 13


class CascadeDrawer:
    """Draws pairs of the size of a tile.

    Args:
        small: The generator of small pairs, on its device.
        enlarger: The enlarger, on the same device.
        side: Side of a tile in pixels.
        factor: Its pixels along a side for one of the small pairs.
        settings: How to draw.
        device: Device of both.
        compute: How to compute.
    """

    distinct = None

    def __init__(
        self,
        small: Generator,
        enlarger: Enlarger,
        side: int,
        factor: int,
        settings: CascadeDrawing,
        device: torch.device,
        compute: ComputeSettings,
    ) -> None:
        """Make a drawer of each model."""
        self._small = JointDrawer(small, side // factor, settings.small, device, compute)
        self._large = JointDrawer(enlarger, side, settings.enlarger, device, compute)
        self._enlarger, self._factor, self._side = enlarger, factor, side
        self._noise, self._clip, self._device = settings.condition_noise, settings.enlarger.clip, device

    @torch.inference_mode()
    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        """Draw the pairs of some numbers; see `satsynth.generation.drawers.Drawer`."""
        return self.enlarge(numbers, *self._small.draw(numbers, request), request.seed)

    @torch.inference_mode()
    def paint(self, numbers: Sequence[int], masks: np.ndarray, seed: int) -> np.ndarray:
        """Draw an image for each mask; see `satsynth.generation.drawers.LayoutDrawer`."""
        given = torch.from_numpy(masks).to(self._device).long()
        small = to_masks(reduce_masks(given, self._factor, len(self._enlarger.code.codebook)))
        painted = self._of(numbers, self._small.paint(numbers, small, seed), small, seed).paint(given, self._clip)
        return to_image(self._large.solve(IMAGE_CHANNELS, numbers, mixed_seed(seed, ENLARGING), painted))

    @torch.inference_mode()
    def lay_out(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Draw masks alone: small ones, painted so that they can be enlarged; see `LayoutDrawer`."""
        small, own = self._small.lay_out(numbers, seed), mixed_seed(seed, SMALL_OF_LAYOUT)
        return self.enlarge(numbers, self._small.paint(numbers, small, own), small, own)[1]

    @torch.inference_mode()
    def enlarge(
        self, numbers: Sequence[int], images: np.ndarray, masks: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Enlarge small pairs.

        Args:
            numbers: B numbers; pair i depends only on (seed, number i, small pair i) and the kind of device.
            images: ``(B, h, w, 3)`` uint8.
            masks: ``(B, h, w)`` uint8 of class indices, 255 = ignore.
            seed: Seed of the set.

        Returns:
            Images ``(B, H, W, 3)`` and masks ``(B, H, W)``, both uint8.
        """
        given = self._of(numbers, images, masks, seed)
        joint = self._large.solve(given.channels, numbers, mixed_seed(seed, ENLARGING), given.denoise(self._clip))
        large, found = given.split(joint)
        return to_image(large), to_masks(found)

    def _of(self, numbers: Sequence[int], images: np.ndarray, masks: np.ndarray, seed: int) -> Generator:
        small = torch.from_numpy(np.array(images)).to(self._device).movedim(-1, 1).float().div(127.5).sub(1)
        noise = noise_source(mixed_seed(seed, CONDITION), numbers, tuple(small.shape[1:]), self._device)()
        found = torch.from_numpy(np.array(masks)).to(self._device).long()
        return self._enlarger.of(condition(small + self._noise * noise, found, self._factor, self._enlarger.code))
