"""Conversion of class indices back to a data set's own ids or colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.work.ignore import IGNORE_INDEX

# Name of the file that says what painted values mean.
LEGEND = "classes.json"


class Painter:
    """Converts masks of class indices to a data set's own encoding.

    Labels that are attributes of polygons have no raw value in a raster, so their masks keep the class index.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Fill the table of raw values."""
        self._names = description.class_names
        self._colors = [list(c.color) for c in description.classes]
        raws: list[Any] = [c.raw for c in description.classes]
        if any(isinstance(raw, str) for raw in raws):
            raws = list(range(len(raws)))
        self._raws = raws
        own = [
            value
            for value in description.ignore
            if isinstance(value, tuple) or (isinstance(value, int) and 0 <= value < 1 << 16)
        ]
        self.ignore: Any = own[0] if own else _unused(raws)
        colored = isinstance(self.ignore, tuple)
        self._table = np.zeros(
            (IGNORE_INDEX + 1, 3) if colored else IGNORE_INDEX + 1, np.uint8 if colored else np.uint16
        )
        for index, raw in [*enumerate(raws), (IGNORE_INDEX, self.ignore)]:
            self._table[index] = raw
        if not colored and self._table.max() <= 255:
            self._table = self._table.astype(np.uint8)

    def paint(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask in the data set's own encoding.

        Args:
            mask: ``(H, W)`` uint8 of class indices, 255 = ignore.

        Returns:
            ``(H, W)`` uint8 or uint16 of ids, or ``(H, W, 3)`` uint8 RGB.
        """
        return self._table[mask]

    def legend(self) -> dict[str, Any]:
        """Return the meaning of painted values: classes with raw value and display colour, and the ignored value."""
        classes = [
            {"name": name, "raw": _shown(raw), "color": _shown(tuple(color))}
            for name, raw, color in zip(self._names, self._raws, self._colors, strict=True)
        ]
        return {"classes": classes, "ignore": [_shown(self.ignore)]}


def _unused(raws: list[Any]) -> Any:
    """Return a value for ignored pixels that no class uses: id 255 or black, or else the next free one."""
    if isinstance(raws[0], tuple):
        return next(grey for level in range(256) if (grey := (level, level, level)) not in raws)
    return next(value for value in [*range(255, -1, -1), *range(256, 1 << 16)] if value not in raws)


def _shown(raw: Any) -> Any:
    return "#{:02X}{:02X}{:02X}".format(*raw) if isinstance(raw, tuple) else raw
