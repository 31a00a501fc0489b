"""The gallery: images beside coloured masks, real beside synthetic, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

GAP, HEAD, LEGEND = 4, 30, 34
PAPER, INK, IGNORED = (255, 255, 255), (40, 40, 40), (0, 0, 0)


def color_mask(mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Return a mask ``(H, W)`` in its display colours ``(K, 3)``, ``(H, W, 3)`` uint8; ignored pixels are black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    table[255] = IGNORED
    return table[mask]


def contact_sheet(pairs: Sequence[tuple[np.ndarray, np.ndarray]], colors: np.ndarray, columns: int) -> np.ndarray:
    """Return pairs side by side, image left of mask, ``columns`` pairs per row, as ``(H, W, 3)`` uint8."""
    side = pairs[0][0].shape[0]
    rows = -(-len(pairs) // columns)
    width = columns * (2 * side + 3 * GAP) - GAP
    sheet = np.full((rows * (side + GAP) - GAP, width, 3), 255, np.uint8)
    for i, (image, mask) in enumerate(pairs):
        y, x = (i // columns) * (side + GAP), (i % columns) * (2 * side + 3 * GAP)
        sheet[y : y + side, x : x + side] = image
        sheet[y : y + side, x + side + GAP : x + 2 * side + GAP] = color_mask(mask, colors)
    return sheet


def gallery(
    left: Sequence[tuple[np.ndarray, np.ndarray]],
    right: Sequence[tuple[np.ndarray, np.ndarray]],
    class_names: Sequence[str],
    colors: np.ndarray,
    columns: int = 3,
    titles: tuple[str, str] = ("real", "synthetic"),
) -> np.ndarray:
    """Return the picture: one set of pairs on the left, one on the right, the classes' colours below.

    Args:
        left: Images ``(H, W, 3)`` and masks ``(H, W)``, both uint8.
        right: Images and masks of the other side.
        class_names: Names in order of the class index.
        colors: Display colours ``(K, 3)``.
        columns: Pairs per row on each side.
        titles: Titles of the two sides.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    return side_by_side(dict(zip(titles, (left, right), strict=True)), class_names, colors, columns)


def side_by_side(
    sets: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    class_names: Sequence[str],
    colors: np.ndarray,
    columns: int,
) -> np.ndarray:
    """Return several sets of pairs in one picture, from left to right, the classes' colours below.

    Args:
        sets: Images ``(H, W, 3)`` and masks ``(H, W)``, both uint8, by the title of their set.
        class_names: Names in order of the class index.
        colors: Display colours ``(K, 3)``.
        columns: Pairs per row of each set.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    sides = [_titled(contact_sheet(pairs, colors, columns), title) for title, pairs in sets.items()]
    height = max(side.shape[0] for side in sides)
    sides = [np.pad(side, ((0, height - side.shape[0]), (0, 0), (0, 0)), constant_values=255) for side in sides]
    gap = np.full((height, 6 * GAP, 3), 255, np.uint8)
    body = np.concatenate([part for side in sides for part in (gap, side)][1:], axis=1)
    legend = _legend(class_names, colors, body.shape[1])
    body = np.pad(body, ((0, 0), (0, legend.shape[1] - body.shape[1]), (0, 0)), constant_values=255)
    framed = np.concatenate([body, legend], axis=0)
    return np.pad(framed, ((8, 8), (8, 8), (0, 0)), constant_values=255)


def _text(picture: np.ndarray, text: str, x: int, y: int, size: float = 0.6) -> int:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])


def _titled(sheet: np.ndarray, title: str) -> np.ndarray:
    head = np.full((HEAD, sheet.shape[1], 3), 255, np.uint8)
    _text(head, title, 0, 20)
    return np.concatenate([head, sheet], axis=0)


def _legend(class_names: Sequence[str], colors: np.ndarray, width: int) -> np.ndarray:
    entries = [(name, tuple(int(v) for v in color)) for name, color in zip(class_names, colors, strict=True)] + [
        ("ignored", IGNORED)
    ]
    widths = [cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] + 42 for name, _ in entries]
    width = max(width, *widths)
    lines, x = [np.full((LEGEND, width, 3), 255, np.uint8)], 0
    for (name, color), wide in zip(entries, widths, strict=True):
        if x and x + wide > width:
            lines.append(np.full((LEGEND, width, 3), 255, np.uint8))
            x = 0
        cv2.rectangle(lines[-1], (x, 12), (x + 14, 26), color, -1)
        cv2.rectangle(lines[-1], (x, 12), (x + 14, 26), INK, 1)
        _text(lines[-1], name, x + 20, 24, 0.5)
        x += wide
    return np.concatenate(lines, axis=0)
