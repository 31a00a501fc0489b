"""A generator: denoiser and label code together."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Self, cast

import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.diffusion.denoiser import IMAGE_CHANNELS, Denoiser
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.network import StemUNet, memory_format
from satsynth.diffusion.preconditionings import preconditioning_of
from satsynth.diffusion.samplers import Denoise
from satsynth.diffusion.saved import AVERAGED, WEIGHTS
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.codes import LabelCode
from satsynth.training.seeds import shared_random_state

# Noise levels of what is given, and of what is not known at all.
CLEAN, UNKNOWN = 0.02, 80.0


class Generator:
    """Denoises joint pairs.

    Args:
        settings: What it is.
        classes: Number of classes.
        given_pair: Whether its network is given another pair beside the noisy one.
    """

    def __init__(self, settings: GeneratorSettings, classes: int, given_pair: bool = False) -> None:
        """Build it with new weights."""
        self.code = LabelCode(settings.label_code, classes, settings.label_scale)
        self.channels = IMAGE_CHANNELS + self.code.channels
        self.separate = settings.noise_levels == "separate"
        network = StemUNet(self.channels, settings.network, self.separate, self.channels if given_pair else 0)
        self.denoiser = Denoiser(network, preconditioning_of(settings.preconditioning))

    def with_denoiser(self, denoiser: nn.Module) -> Self:
        """Return the same generator with another denoiser, for example of averaged weights."""
        other = copy.copy(self)
        other.denoiser = cast(Denoiser, denoiser)
        return other

    def join(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return joint pairs ``(B, 3 + C, H, W)`` of images ``(B, 3, H, W)`` and masks ``(B, H, W)``."""
        return torch.cat([images, self.code.encode(masks)], 1)

    def denoise(self, clip: bool = False) -> Denoise:
        """Return the denoiser as samplers take it.

        Args:
            clip: Whether estimates are kept in the range of pairs: +-1 for images, +-scale for label channels.
        """

        def clipped(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            clean, scale = self.denoiser(noisy, sigma), self.code.scale
            return torch.cat(
                [clean[:, :IMAGE_CHANNELS].clamp(-1, 1), clean[:, IMAGE_CHANNELS:].clamp(-scale, scale)], 1
            )

        return clipped if clip else self.denoiser

    def paint(
        self, masks: torch.Tensor, clip: bool = False, guidance: float = 1.0, untold: torch.Tensor | None = None
    ) -> Denoise:
        """Return a denoiser of images ``(B, 3, H, W)`` alone, given their masks ``(B, H, W)``.

        Args:
            masks: Class indices, 255 = ignore: there the network is told that the class is not known, as in training.
            clip: Whether estimates are kept in range.
            guidance: How far each estimate goes from that of the image alone to that given its mask: 1 is the latter,
                and what is above follows the mask more than the network does by itself.
            untold: ``(B, C, H, W)`` standard normal noise in the place of the masks, for the estimate of the image
                alone; needed where ``guidance`` is not 1.

        Source: classifier-free guidance, Ho and Salimans, arXiv 2207.12598, equation 6, where ``w`` is guidance - 1.
        """
        labels, denoise = self.code.encode(masks), self.denoise(clip)

        def estimate(noisy: torch.Tensor, sigma: torch.Tensor, labels: torch.Tensor, level: float) -> torch.Tensor:
            levels = torch.stack([sigma, torch.full_like(sigma, level)], 1)
            return denoise(torch.cat([noisy, labels], 1), levels)[:, :IMAGE_CHANNELS]

        def images(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            clean = estimate(noisy, sigma, labels, CLEAN)
            if guidance == 1:
                return clean
            assert untold is not None
            guided = torch.lerp(estimate(noisy, sigma, untold * UNKNOWN, UNKNOWN), clean, guidance)
            return guided.clamp(-1, 1) if clip else guided

        return images

    def label(self, images: torch.Tensor, clip: bool = False) -> Denoise:
        """Return a denoiser of label channels ``(B, C, H, W)`` alone, given their images ``(B, 3, H, W)`` in [-1, 1].

        Args:
            images: The images.
            clip: Whether estimates are kept in range.
        """
        denoise = self.denoise(clip)

        def labels(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            levels = torch.stack([torch.full_like(sigma, CLEAN), sigma], 1)
            return denoise(torch.cat([images, noisy], 1), levels)[:, IMAGE_CHANNELS:]

        return labels

    def lay_out(self, unknown: torch.Tensor, clip: bool = False) -> Denoise:
        """Return a denoiser of label channels ``(B, C, H, W)`` alone, beside images that are nothing but noise.

        Args:
            unknown: ``(B, 3, H, W)`` standard normal noise.
            clip: Whether estimates are kept in range.
        """
        images, denoise = unknown * UNKNOWN, self.denoise(clip)

        def labels(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            levels = torch.stack([torch.full_like(sigma, UNKNOWN), sigma], 1)
            return denoise(torch.cat([images, noisy], 1), levels)[:, IMAGE_CHANNELS:]

        return labels

    def split(self, joint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images ``(B, 3, H, W)`` and masks ``(B, H, W)`` int64 of joint pairs."""
        return joint[:, :IMAGE_CHANNELS], self.code.decode(joint[:, IMAGE_CHANNELS:])


def load_generator(saved: SavedGenerator, device: torch.device, averaged: bool = True) -> Generator:
    """Build a saved generator on a device, with averaged weights by default."""
    # Generators made before noise levels could differ have one in common.
    settings = GeneratorSettings(**{"noise_levels": "common", **saved.manifest["model"]})
    with shared_random_state(0):
        generator = Generator(settings, len(saved.manifest["classes"]))
    take_weights(generator, saved.file(AVERAGED if averaged else WEIGHTS), device)
    return generator


def take_weights(generator: Generator, file: Path, device: torch.device) -> None:
    """Give a generator saved weights and make it ready to draw on a device."""
    generator.denoiser.load_state_dict(load_file(file))
    generator.denoiser.eval().to(device).to(memory_format=memory_format(device))
