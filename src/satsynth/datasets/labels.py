"""Conversion of raw ids or colours to class indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.work.ignore import IGNORE_INDEX

UNKNOWN = 254
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Unknown:
    """How often a mask holds a raw value that is not in the description, and where it occurs first."""

    pixels: int
    x: int
    y: int

    def __add__(self, later: Unknown) -> Unknown:
        """Add the pixels in a later part of the mask."""
        return Unknown(self.pixels + later.pixels, self.x, self.y)


class LabelMap:
    """Maps raw masks to class indices with a lookup table.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Fill the lookup table."""
        self.encoding = description.masks.encoding
        self._names: dict[int, str] = {}
        self._table = np.full(1 << 24 if self.encoding == "color" else 1 << 16, UNKNOWN, np.uint8)
        entries: list[tuple[Any, str, int]] = [(c.raw, c.name, i) for i, c in enumerate(description.classes)]
        entries += [(value, "ignore", IGNORE_INDEX) for value in description.ignore]
        if self.encoding == "attribute":
            # Polygons are rasterised directly as class indices.
            entries = [(index, name, index) for _, name, index in [*entries, (None, "ignore", IGNORE_INDEX)]]
        # Ignored ids beyond the table, such as -9999.
        self._far: list[int] = []
        for raw, name, index in entries:
            code = int(raw if isinstance(raw, int) else pack_colors(np.array(raw, np.uint8)[None, None])[0, 0])
            if 0 <= code < len(self._table):
                self._table[code] = index
            else:
                self._far.append(code)
            self._names[code] = name
        nearest = description.masks.nearest
        self._largest = nearest.largest_distance if nearest else None
        self._known = np.array([code for code in self._names if 0 <= code < len(self._table)], np.int64)
        self._indices = self._table[self._known].astype(np.int64)

    def indices(self, raw: np.ndarray) -> np.ndarray:
        """Convert raw values to class indices; unknown values become ``UNKNOWN``.

        Args:
            raw: ``(H, W)`` integer ids, or ``(H, W, 3)`` uint8 RGB colours.

        Returns:
            ``(H, W)`` uint8 of 0..K-1, 255 = ignore, 254 = unknown.
        """
        return self._look_up(self._codes(raw))

    def moved(self, raw: np.ndarray) -> tuple[int, float]:
        """Return how many pixels hold a value that was taken for the nearest one, and the largest distance of them."""
        if self._largest is None:
            return 0, 0.0
        codes, counts = np.unique(self._codes(raw), return_counts=True)
        new = ~np.isin(codes, self._known)
        new[new] = self._look_up(codes[new]) != UNKNOWN
        if not new.any():
            return 0, 0.0
        return int(counts[new].sum()), float(distances(codes[new], self._known, self.encoding).min(axis=1).max())

    def unknown_codes(self, raw: np.ndarray, top: int = 0, excused: np.ndarray | None = None) -> dict[int, Unknown]:
        """Count the raw values that are not in the description.

        Args:
            raw: ``(H, W)`` integer ids, or ``(H, W, 3)`` uint8 RGB colours.
            top: Row of the mask at which ``raw`` begins.
            excused: ``(H, W)`` bool: pixels that do not count, or None.

        Returns:
            Number of pixels and first position of each unknown value; colours are ``0xRRGGBB``.
        """
        codes = self._codes(raw)
        bad = self._look_up(codes) == UNKNOWN
        if excused is not None:
            bad &= ~excused
        if not bad.any():
            return {}
        values, firsts, counts = np.unique(codes[bad], return_index=True, return_counts=True)
        rows, columns = np.divmod(np.flatnonzero(bad)[firsts], codes.shape[1])
        return {
            int(value): Unknown(int(count), int(x), int(y) + top)
            for value, count, x, y in zip(values, counts, columns, rows, strict=True)
        }

    def in_words(self, unknown: Mapping[int, Unknown], limit: int = 3) -> str:
        """Describe unknown values in words, the most frequent first, each with the nearest known value."""
        ordered = sorted(unknown.items(), key=lambda item: (-item[1].pixels, item[0]))
        parts = []
        for value, found in ordered[:limit]:
            nearest = min(self._names, key=lambda known: _distance(known, value, self.encoding))
            parts.append(
                f"{self._show(value)} in {found.pixels} pixel(s), first at x={found.x}, y={found.y}; "
                f"the nearest known value is {self._named(nearest)}"
            )
        rest = ordered[limit:]
        if rest:
            parts.append(f"{len(rest)} more unknown values in {sum(found.pixels for _, found in rest)} pixel(s)")
        return "; ".join(parts)

    def reversed_words(self, unknown: Mapping[int, Unknown]) -> str | None:
        """Describe unknown colours if all of them are known ones with reversed channels, else return None."""
        if self.encoding != "color" or not unknown or not all(_reversed(value) in self._names for value in unknown):
            return None
        value = max(unknown, key=lambda code: unknown[code].pixels)
        pixels = sum(found.pixels for found in unknown.values())
        return (
            f"its colours are those of the description in reverse order (B, G, R) in {pixels} pixel(s): "
            f"{self._show(value)} is {self._named(_reversed(value))} reversed"
        )

    def _codes(self, raw: np.ndarray) -> np.ndarray:
        if self.encoding == "color":
            return pack_colors(raw)
        if raw.dtype.itemsize > 2 or raw.dtype.kind == "i":
            return raw.astype(np.int64)
        return raw.view(np.uint8) if raw.dtype.itemsize == 1 else raw

    def _look_up(self, codes: np.ndarray) -> np.ndarray:
        found = self._exact(codes)
        if self._largest is not None and (bad := found == UNKNOWN).any():
            self._learn(np.unique(codes[bad]))
            found = self._exact(codes)
        return found

    def _learn(self, codes: np.ndarray) -> None:
        """Enter values that are near enough to a known one into the table. Threads may do so at the same time."""
        codes = codes[(codes >= 0) & (codes < len(self._table))] if codes.dtype == np.int64 else codes
        for part in np.array_split(codes, len(codes) // _AT_ONCE + 1):
            apart = distances(part, self._known, self.encoding)
            least = apart.min(axis=1, keepdims=True)
            classes = np.where(apart == least, self._indices, -1)
            lowest = np.where(apart == least, self._indices, UNKNOWN + 2).min(axis=1)
            # Between two classes there is no nearest one.
            index = np.where(classes.max(axis=1) == lowest, lowest, IGNORE_INDEX)
            near = least[:, 0] <= self._largest
            self._table[part[near].astype(np.int64)] = index[near]

    def _exact(self, codes: np.ndarray) -> np.ndarray:
        if codes.dtype == np.uint8:
            return np.asarray(cv2.LUT(codes, self._table[:256]))
        if codes.dtype != np.int64:
            return self._table[codes]
        # Negative or large ids would wrap around and match other ids.
        inside = (codes >= 0) & (codes < len(self._table))
        found = np.where(inside, self._table[np.where(inside, codes, 0)], np.uint8(UNKNOWN))
        for code in self._far:
            found[codes == code] = IGNORE_INDEX
        return found

    def _named(self, code: int) -> str:
        return f"{self._show(code)} ({self._names[code]})"

    def _show(self, code: int) -> str:
        return f"colour #{code:06X}" if self.encoding == "color" else f"id {code}"


def reversed_twins(description: DatasetDescription) -> list[tuple[str, str]]:
    """Return pairs of classes whose colours differ only in channel order, so that B, G, R cannot be detected."""
    colors = {value: "ignore" for value in description.ignore if isinstance(value, tuple)}
    colors |= {c.raw: c.name for c in description.classes if isinstance(c.raw, tuple)}
    pairs = ((name, colors.get(color[::-1], name)) for color, name in colors.items())
    return sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})


def pack_colors(colors: np.ndarray) -> np.ndarray:
    """Pack ``(H, W, 3)`` uint8 RGB into ``(H, W)`` uint32 ``0xRRGGBB``."""
    # The four bytes B, G, R, 255 are the little-endian number 0xFFRRGGBB.
    codes = cv2.cvtColor(colors, cv2.COLOR_RGB2BGRA).view("<u4")[..., 0]
    return np.asarray(codes & np.uint32(0xFFFFFF))


def distances(codes: np.ndarray, known: np.ndarray, encoding: str) -> np.ndarray:
    """Return the distances of values to known ones.

    Args:
        codes: ``(N,)`` ids, or colours as 0xRRGGBB.
        known: ``(K,)`` of the same kind.
        encoding: ``index`` or ``color``.

    Returns:
        ``(N, K)`` float64: differences of ids, or Euclidean distances of colours.
    """
    codes, known = codes.astype(np.int64)[:, None], known.astype(np.int64)[None]
    if encoding == "index":
        return np.abs(codes - known).astype(float)
    squares = sum(((codes >> shift & 255) - (known >> shift & 255)) ** 2 for shift in (16, 8, 0))
    return np.asarray(np.sqrt(squares))


def _reversed(color: int) -> int:
    """Return ``0xBBGGRR`` of ``0xRRGGBB``."""
    return (color & 0xFF) << 16 | color & 0xFF00 | color >> 16


def _distance(a: int, b: int, encoding: str) -> int:
    if encoding == "index":
        return abs(a - b)
    return sum(((a >> shift & 255) - (b >> shift & 255)) ** 2 for shift in (16, 8, 0))
