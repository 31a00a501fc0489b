"""Two streams of training pairs as one."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch.utils.data import Dataset

Stream = Dataset[tuple[torch.Tensor, torch.Tensor]]


class Shared(Stream):
    """Two streams side by side: of any stretch of positions, the first has a fixed share, to within one pair.

    Args:
        first: One stream.
        second: The other.
        share: Share of the first, above 0 and below 1; read to a thousandth.
    """

    def __init__(self, first: Stream, second: Stream, share: float) -> None:
        """Hold both."""
        self._first, self._second = first, second
        self._share = Fraction(share).limit_denominator(1000)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        before, after = int(position * self._share), int((position + 1) * self._share)
        return self._first[before] if after > before else self._second[position - before]


class InTurn(Stream):
    """A stream for a number of positions, then another from its start.

    Args:
        first: The stream that begins.
        number: Positions of the first.
        second: The stream that follows.
    """

    def __init__(self, first: Stream, number: int, second: Stream) -> None:
        """Hold both."""
        self._first, self._number, self._second = first, number, second

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        return self._first[position] if position < self._number else self._second[position - self._number]
