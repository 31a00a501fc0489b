"""The generator of the GAN: styles from a latent vector, and a trunk that paints image and mask at each resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from satsynth.rivals.gan.layers import Linear, ModulatedConvolution, activated, enlarged
from satsynth.rivals.gan.settings import GanNetwork

# The learning rate of the mapping is a hundredth of the others', as in Karras et al., CVPR 2019.
MAPPING_RATE = 0.01


class Mapping(nn.Module):
    """Turns latent vectors into styles.

    Args:
        dimensions: Dimensions D of both.
        layers: Number of layers.
    """

    def __init__(self, dimensions: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(dimensions, dimensions, MAPPING_RATE) for _ in range(layers))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Return styles ``(B, D)`` of latent vectors ``(B, D)``."""
        x = latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            x = activated(layer(x))
        return x


class Level(nn.Module):
    """The trunk at one resolution, and what it adds to the image and to the mask.

    Args:
        inputs: Channels of the coarser level; None at the first.
        outputs: Channels.
        styles: Dimensions of a style.
        image_channels: Channels of the image, those of a patch.
        label_channels: Channels of the mask, those of a patch.
    """

    def __init__(self, inputs: int | None, outputs: int, styles: int, image_channels: int, label_channels: int) -> None:
        super().__init__()
        widths = [outputs] if inputs is None else [inputs, outputs]
        self.convolutions = nn.ModuleList(ModulatedConvolution(width, outputs, 3, styles) for width in widths)
        self.strengths = nn.Parameter(torch.zeros(len(widths)))
        self.to_image = ModulatedConvolution(outputs, image_channels, 1, styles, demodulated=False)
        self.to_label = ModulatedConvolution(outputs, label_channels, 1, styles, demodulated=False)

    def forward(
        self, x: torch.Tensor, styles: Sequence[torch.Tensor], noises: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the maps of the level, and its parts of image and mask in patches.

        Args:
            x: Maps at the level's resolution.
            styles: A style ``(B, D)`` for each convolution; the last one is that of image and mask too.
            noises: Noise ``(B, 1, H, W)`` for each convolution.
        """
        for i, convolution in enumerate(self.convolutions):
            x = activated(convolution(x, styles[i], self.strengths[i] * noises[i]))
        return x, self.to_image(x, styles[-1]), self.to_label(x, styles[-1])


class GanGenerator(nn.Module):
    """Paints pairs from noise.

    The trunk is that of StyleGAN2 with skips (Karras et al., CVPR 2020); at each resolution it adds to a mask what it
    adds to an image, as in SemanticGAN (Li et al., CVPR 2021, arXiv 2104.05833). Its positions stand for patches of
    pixels, so that all convolutions are small; image and mask are added up in pixels.

    Args:
        settings: Sizes.
        side: Side of a pair in pixels.
        classes: Number of classes K.
    """

    def __init__(self, settings: GanNetwork, side: int, classes: int) -> None:
        super().__init__()
        self.sides, widths = settings.sides(side), settings.widths(side)
        self.latent, self._stem = settings.latent, settings.stem
        patch = settings.stem**2
        self.mapping = Mapping(settings.latent, settings.mapping)
        self.start = nn.Parameter(torch.randn(1, widths[0], self.sides[0], self.sides[0]))
        coarser = (None, *widths[:-1])
        self.levels = nn.ModuleList(
            Level(before, width, settings.latent, 3 * patch, classes * patch)
            for before, width in zip(coarser, widths, strict=True)
        )

    @property
    def layers(self) -> int:
        """Number of layers L with a style of their own."""
        return 2 * len(self.sides) - 1

    @property
    def noise_size(self) -> int:
        """Number of random values behind one pair: its latent vector and the noise of each layer."""
        return self.latent + sum(s * s for s in self._noise_sides())

    def _noise_sides(self) -> list[int]:
        return [self.sides[0], *(side for side in self.sides[1:] for _ in range(2))]

    def styles(self, latents: torch.Tensor) -> torch.Tensor:
        """Return styles ``(B, L, D)``, the same for each layer, of latent vectors ``(B, D)``."""
        found: torch.Tensor = self.mapping(latents)
        return found[:, None].expand(-1, self.layers, -1)

    def forward(self, styles: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and masks.

        Args:
            styles: ``(B, L, D)``.
            noise: ``(B, noise_size)`` standard normal; of its latent vector nothing is used.

        Returns:
            Images ``(B, 3, H, W)``, in [-1, 1] but for what is out of range, and logits of masks ``(B, K, H, W)``.
        """
        sides = self._noise_sides()
        parts = noise[:, self.latent :].split([side * side for side in sides], 1)
        noises = [part.unflatten(1, (1, side, side)) for part, side in zip(parts, sides, strict=True)]
        x, layer = self.start.expand(len(styles), -1, -1, -1), 0
        image = label = torch.zeros((), device=styles.device)
        for number, level in enumerate(self.levels):
            used = slice(layer, layer + (2 if number else 1))
            if number:
                x, image, label = enlarged(x), enlarged(image), enlarged(label)
            x, more_image, more_label = level(x, styles[:, used].unbind(1), noises[used])
            image = image + F.pixel_shuffle(more_image, self._stem)
            label = label + F.pixel_shuffle(more_label, self._stem)
            layer = used.stop
        return image, label
