"""The model that enlarges: a denoiser of pairs that is also given a small version of them."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from satsynth.diffusion.denoiser import Denoiser
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.network import StemUNet


class Enlarger(Generator):
    """Denoises joint pairs, given small ones by `satsynth.diffusion.cascade.reduction.condition`.

    Args:
        settings: What it is.
        classes: Number of classes.
    """

    def __init__(self, settings: GeneratorSettings, classes: int) -> None:
        """Build it with new weights."""
        super().__init__(settings, classes, given_pair=True)

    def of(self, condition: torch.Tensor) -> Generator:
        """Return the generator of pairs for a condition ``(B, 3 + C, H, W)``."""
        network = _Given(cast(StemUNet, self.denoiser.network), condition)
        return self.with_denoiser(Denoiser(network, self.denoiser.preconditioning))


class _Given(nn.Module):
    """A network with the condition that it is given."""

    def __init__(self, network: StemUNet, condition: torch.Tensor) -> None:
        super().__init__()
        self._network, self._condition = network, condition

    def forward(self, pairs: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Map noisy pairs and noise conditions; see `StemUNet`."""
        return cast(torch.Tensor, self._network(pairs, noise, self._condition))
