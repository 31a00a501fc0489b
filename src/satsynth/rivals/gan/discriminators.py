"""The two discriminators: of images, and of images with their masks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from satsynth.rivals.gan.layers import Convolution, Linear, activated
from satsynth.rivals.gan.settings import GanNetwork

# Images whose spread one image is judged by.
GROUP = 4


class Halving(nn.Module):
    """Two convolutions beside a shortcut; the maps come out at half the side.

    Args:
        inputs: Channels that go in.
        outputs: Channels that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(inputs, inputs, 3), Convolution(inputs, outputs, 3)
        self.shortcut = Convolution(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs, H / 2, W / 2)``."""
        inner = F.avg_pool2d(activated(self.second(activated(self.first(x)))), 2)
        found: torch.Tensor = (inner + self.shortcut(F.avg_pool2d(x, 2))) / math.sqrt(2)
        return found


class ImageDiscriminator(nn.Module):
    """Tells real images from drawn ones; the residual discriminator of StyleGAN2 (Karras et al., CVPR 2020).

    Args:
        settings: Sizes.
        side: Side of an image in pixels.
    """

    def __init__(self, settings: GanNetwork, side: int) -> None:
        super().__init__()
        self._stem, sides, widths = settings.stem, settings.sides(side), settings.widths(side)
        self.start = Convolution(3 * settings.stem**2, widths[-1], 1)
        fine, coarse = widths[:0:-1], widths[-2::-1]
        self.halvings = nn.Sequential(*(Halving(a, b) for a, b in zip(fine, coarse, strict=True)))
        self.last = Convolution(widths[0] + 1, widths[0], 3)
        self.hidden, self.score = Linear(widths[0] * sides[0] ** 2, widths[0]), Linear(widths[0], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return a score ``(B,)`` for each of images ``(B, 3, H, W)``: large for real ones."""
        x = self.halvings(activated(self.start(F.pixel_unshuffle(images, self._stem))))
        x = activated(self.last(torch.cat([x, spread(x)], 1)))
        found: torch.Tensor = self.score(activated(self.hidden(x.flatten(1))))
        return found[:, 0]


def spread(x: torch.Tensor) -> torch.Tensor:
    """Return how much the maps of a few images differ, ``(B, 1, H, W)``, the same for all images of a group.

    Source: Karras et al., ICLR 2018, arXiv 1710.10196, section 3.
    """
    size = math.gcd(len(x), GROUP)
    groups = x.unflatten(0, (size, -1))
    deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])


class PairDiscriminator(nn.Module):
    """Tells real pairs from drawn ones patch by patch, at several scales.

    Source: Wang et al., CVPR 2018, arXiv 1711.11585, section 3.2.

    Args:
        settings: Sizes.
        classes: Number of classes K.
    """

    def __init__(self, settings: GanNetwork, classes: int) -> None:
        super().__init__()
        self._stem, width = settings.stem, settings.pair_width
        widths = [min(width << level, 8 * width) for level in range(settings.pair_layers)]
        self.scales = nn.ModuleList(
            nn.ModuleList(
                [
                    Convolution((3 + classes) * settings.stem**2, widths[0], 4, 2),
                    *(Convolution(a, b, 4, 2) for a, b in pairwise(widths)),
                    Convolution(widths[-1], 1, 3),
                ]
            )
            for _ in range(settings.pair_scales)
        )

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return the maps of each layer at each scale; the last is that of scores ``(B, 1, h, w)``.

        Args:
            images: ``(B, 3, H, W)``.
            labels: Probabilities of classes ``(B, K, H, W)``, zero where nothing is known.
        """
        x, found = torch.cat([images, labels], 1), []
        for number, scale in enumerate(self.scales):
            x = F.avg_pool2d(x, 2) if number else x
            found.append(self._maps(cast(nn.ModuleList, scale), F.pixel_unshuffle(x, self._stem)))
        return found

    def _maps(self, scale: nn.ModuleList, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of each layer at one scale."""
        first, *inner, last = scale
        # The first layer is not normalised, which would take contrasts away before anything has seen them.
        maps = [F.leaky_relu(first(x), 0.2)]
        for layer in inner:
            x = layer(maps[-1])
            maps.append(F.leaky_relu(F.instance_norm(x) if x[0, 0].numel() > 1 else x, 0.2))
        return [*maps, last(maps[-1])]
