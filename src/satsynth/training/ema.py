"""Exponential moving average of weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """A moving average of a network's weights; its buffers are copied.

    The first update copies the weights. Then the decay ramps up as ``min(decay, (1 + n) / (10 + n))`` over the number n
    of updates done before, so that the start is forgotten.

    Args:
        network: The network.
        decay: The final decay, in [0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Copy the network."""
        super().__init__(network)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move towards the weights of a network.

        PyTorch's own update sends the number of updates to the device each time, for which a GPU waits.
        """
        n = int(self.n_averaged)
        averaged: list[torch.Tensor] = list(self.module.parameters())
        current: list[torch.Tensor] = list(model.parameters())
        if n:
            torch._foreach_lerp_(averaged, current, 1 - min(self._decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(averaged, current)
        for kept, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
        self.n_averaged += 1
