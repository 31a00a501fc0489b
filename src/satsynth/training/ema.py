"""Exponential moving average of weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


def ema_of(network: nn.Module, decay: float) -> AveragedModel:
    """Return a moving average of a network's weights, by PyTorch's own AveragedModel.

    The first update copies the weights. Then the decay ramps up as ``min(decay, (1 + n) / (10 + n))`` over the number n
    of updates done before, so that the start is forgotten.

    Args:
        network: The network; its buffers are copied, not averaged.
        decay: The final decay, in [0, 1).
    """

    def update(averaged: Tensors, current: Tensors, count: torch.Tensor | int) -> None:
        # `count` is a copy on the weights' device: a look at it would make a GPU wait.
        n = int(average.n_averaged)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(network, multi_avg_fn=update)
    return average
