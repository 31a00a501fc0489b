"""A generator: denoiser and label code together."""

from __future__ import annotations

import copy
from typing import cast

import torch
from safetensors.torch import load_file
from torch import nn

from satsynth.diffusion.codes import LabelCode
from satsynth.diffusion.denoiser import Denoiser
from satsynth.diffusion.network import StemUNet
from satsynth.diffusion.preconditionings import preconditioning_of
from satsynth.diffusion.samplers import Denoise
from satsynth.diffusion.saved import AVERAGED, WEIGHTS
from satsynth.diffusion.settings import GeneratorSettings
from satsynth.generation.saved import SavedGenerator


class Generator:
    """Denoises joint pairs.

    Args:
        settings: What it is.
        classes: Number of classes.
    """

    def __init__(self, settings: GeneratorSettings, classes: int) -> None:
        """Build it with new weights."""
        self.code = LabelCode(settings.label_code, classes, settings.label_scale)
        self.channels = 3 + self.code.channels
        network = StemUNet(self.channels, settings.network)
        self.denoiser = Denoiser(network, preconditioning_of(settings.preconditioning))

    def with_denoiser(self, denoiser: nn.Module) -> Generator:
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
            return torch.cat([clean[:, :3].clamp(-1, 1), clean[:, 3:].clamp(-scale, scale)], 1)

        return clipped if clip else self.denoiser

    def split(self, joint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images ``(B, 3, H, W)`` and masks ``(B, H, W)`` int64 of joint pairs."""
        return joint[:, :3], self.code.decode(joint[:, 3:])


def load_generator(saved: SavedGenerator, device: torch.device, averaged: bool = True) -> Generator:
    """Build a saved generator on a device, with averaged weights by default."""
    generator = Generator(GeneratorSettings(**saved.manifest["model"]), len(saved.manifest["classes"]))
    generator.denoiser.load_state_dict(load_file(saved.path / (AVERAGED if averaged else WEIGHTS)))
    generator.denoiser.eval().to(device).to(memory_format=torch.channels_last)
    return generator
