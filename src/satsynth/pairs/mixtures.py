"""Combinations of two streams of training pairs."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch.utils.data import Dataset

Stream = Dataset[tuple[torch.Tensor, torch.Tensor]]


class Shared(Stream):
    """Two interleaved streams. The first one has a fixed share of any range of positions, to within one pair.

    Args:
        first: The first stream.
        second: The second stream.
        share: Share of the first stream, above 0 and below 1, rounded to a fraction with a denominator up to 1000.
    """

    def __init__(self, first: Stream, second: Stream, share: float) -> None:
        """Store both streams."""
        self._first, self._second = first, second
        self._share = Fraction(share).limit_denominator(1000)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        before, after = int(position * self._share), int((position + 1) * self._share)
        return self._first[before] if after > before else self._second[position - before]


class InTurn(Stream):
    """One stream for a number of positions, followed by another from its start.

    Args:
        first: The first stream.
        number: Number of positions taken from it.
        second: The stream that follows.
    """

    def __init__(self, first: Stream, number: int, second: Stream) -> None:
        """Store both streams."""
        self._first, self._number, self._second = first, number, second

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        return self._first[position] if position < self._number else self._second[position - self._number]
