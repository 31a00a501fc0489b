"""The best weights seen so far, as a part of a checkpoint."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class BestWeights:
    """Keeps the weights with the highest score; the earliest of equals.

    ``score`` is minus infinity, ``step`` 0 and ``weights`` empty before the first offer.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.score = -float("inf")
        self.step = 0
        self.weights: dict[str, torch.Tensor] = {}

    def offer(self, score: float, step: int, network: nn.Module) -> None:
        """Take a copy of a network's weights, on the CPU, if the score is higher than all before."""
        if score > self.score:
            self.score, self.step = score, step
            self.weights = copy.deepcopy({key: value.cpu() for key, value in network.state_dict().items()})

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        return dict(self.__dict__)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state back."""
        self.__dict__.update(state)
