"""Layers with equalised learning rates: weights are kept at unit variance and scaled where they are used.

Source: Karras et al., ICLR 2018, arXiv 1710.10196, section 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


def activated(x: torch.Tensor) -> torch.Tensor:
    """Return the leaky rectification of a tensor, which keeps its variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def enlarged(x: torch.Tensor) -> torch.Tensor:
    """Return maps of twice the side, bilinearly: the filter 1-3-3-1 between new positions."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Linear(nn.Module):
    """A linear layer.

    Args:
        inputs: Dimensions that go in.
        outputs: Dimensions that come out.
        rate: Multiplies the learning rate.
        start: First value of the bias.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), start / rate))
        self._scale, self._rate = rate / math.sqrt(inputs), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs)`` for ``(B, inputs)``."""
        return F.linear(x, self.weight * self._scale, self.bias * self._rate)


class Convolution(nn.Module):
    """A convolution.

    Args:
        inputs: Channels that go in.
        outputs: Channels that come out.
        side: Side of the kernel.
        stride: Step between positions.
    """

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._scale, self._stride, self._padding = 1 / math.sqrt(inputs * side**2), stride, (side - 1) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs, h, w)`` for ``(B, inputs, H, W)``."""
        return F.conv2d(x, self.weight * self._scale, self.bias, self._stride, self._padding)


class ModulatedConvolution(nn.Module):
    """A convolution whose input channels a style scales, and whose output has unit variance again.

    The channels of the maps are scaled in place of the weights, which is the same and needs one convolution for a whole
    batch.

    Source: Karras et al., CVPR 2020, arXiv 1912.04958, section 2.2.

    Args:
        inputs: Channels that go in.
        outputs: Channels that come out.
        side: Side of the kernel.
        styles: Dimensions of a style.
        demodulated: Whether the variance is restored.
    """

    def __init__(self, inputs: int, outputs: int, side: int, styles: int, demodulated: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(styles, inputs, start=1.0)
        self._scale, self._padding, self._demodulated = 1 / math.sqrt(inputs * side**2), side // 2, demodulated

    def forward(self, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Return ``(B, outputs, H, W)``.

        Args:
            x: ``(B, inputs, H, W)``.
            style: ``(B, styles)``.
            noise: ``(B, 1, H, W)``, which is added.
        """
        factors, weight = self.style(style), self.weight * self._scale
        found = F.conv2d(x * factors[:, :, None, None], weight, padding=self._padding)
        if self._demodulated:
            variance = factors.square() @ weight.square().sum((2, 3)).mT
            found = found * (variance + 1e-8).rsqrt()[:, :, None, None]
        if noise is not None:
            found = found + noise
        return found + self.bias[:, None, None]
