"""From raw ids or colours to class indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from satsynth.scenes.description import IGNORE_INDEX, DatasetDescription

UNKNOWN = 254


@dataclass(frozen=True)
class UnknownValue:
    """A raw value that the description does not know: how often, where first, and the nearest known one."""

    value: str
    pixels: int
    x: int
    y: int
    nearest: str

    def __str__(self) -> str:
        """Return one line of a report."""
        place = f"first at x={self.x}, y={self.y}"
        return f"{self.value} in {self.pixels} pixel(s), {place}; the nearest known value is {self.nearest}"


class LabelMap:
    """Maps raw masks to class indices by a lookup table.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Fill the lookup table."""
        self.encoding = description.masks.encoding
        self._names: dict[int, str] = {}
        self._table = np.full(1 << 24 if self.encoding == "color" else 1 << 16, UNKNOWN, np.uint8)
        entries = [(c.raw, c.name, i) for i, c in enumerate(description.classes)]
        entries += [(value, "ignore", IGNORE_INDEX) for value in description.ignore]
        for raw, name, index in entries:
            code = raw if isinstance(raw, int) else pack_colors(np.array(raw, np.uint8)[None, None])[0, 0]
            self._table[code] = index
            self._names[int(code)] = name

    def indices(self, raw: np.ndarray) -> np.ndarray:
        """Return class indices; unknown values become ``UNKNOWN``.

        Args:
            raw: ``(H, W)`` integer ids, or ``(H, W, 3)`` uint8 RGB colours.

        Returns:
            ``(H, W)`` uint8 of 0..K-1, 255 = ignore, 254 = unknown.
        """
        return self._look_up(self._codes(raw))

    def unknown_values(self, raw: np.ndarray) -> list[UnknownValue]:
        """Return the raw values that the description does not know, the most frequent first."""
        codes = self._codes(raw)
        bad = self._look_up(codes) == UNKNOWN
        if not bad.any():
            return []
        found = []
        values, firsts, counts = np.unique(codes[bad], return_index=True, return_counts=True)
        places = np.flatnonzero(bad)[firsts]
        for value, place, count in sorted(zip(values, places, counts, strict=True), key=lambda found: -found[2]):
            y, x = divmod(int(place), codes.shape[1])
            nearest = min(self._names, key=lambda known: _distance(known, int(value), self.encoding))
            shown = f"{self._show(nearest)} ({self._names[nearest]})"
            found.append(UnknownValue(self._show(int(value)), int(count), x, y, shown))
        return found

    def _codes(self, raw: np.ndarray) -> np.ndarray:
        if self.encoding == "color":
            return pack_colors(raw)
        return raw.astype(np.int64) if raw.dtype.itemsize > 2 or raw.dtype.kind == "i" else raw.astype(np.uint16)

    def _look_up(self, codes: np.ndarray) -> np.ndarray:
        if codes.dtype != np.int64:
            return self._table[codes]
        # Negative or large ids would wrap around to others.
        inside = (codes >= 0) & (codes < len(self._table))
        return np.where(inside, self._table[np.where(inside, codes, 0)], np.uint8(UNKNOWN))

    def _show(self, code: int) -> str:
        return f"colour #{code:06X}" if self.encoding == "color" else f"id {code}"


def pack_colors(colors: np.ndarray) -> np.ndarray:
    """Pack ``(H, W, 3)`` uint8 RGB into ``(H, W)`` uint32 ``0xRRGGBB``."""
    wide = colors.astype(np.uint32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _distance(a: int, b: int, encoding: str) -> int:
    if encoding == "index":
        return abs(a - b)
    return sum(((a >> shift & 255) - (b >> shift & 255)) ** 2 for shift in (16, 8, 0))
