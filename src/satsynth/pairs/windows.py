"""Windows of scenes at any place, angle and zoom, mirrored or not: image and mask alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, cos, exp, floor, log, pi, sin

import cv2
import numpy as np

from satsynth.pairs.settings import Angles, WindowSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.ignore import IGNORE_INDEX

# Draws of a window until one is accepted: the last one is taken if none is, or, after more draws, an error is raised.
TRIES, MORE_TRIES = 1000, 20_000
QUARTER = pi / 2
PLAIN = WindowSettings()
Accept = Callable[[np.random.Generator, np.ndarray], bool]


@dataclass(frozen=True)
class Place:
    """Where a window lies in a scene.

    Args:
        x: Column of its centre, in pixels of the scene.
        y: Row of its centre.
        angle: Its turn in radians.
        zoom: Pixels of the scene that become one pixel of the window, along a side.
        mirrored: Whether its columns are reversed.
    """

    x: float
    y: float
    angle: float
    zoom: float
    mirrored: bool

    def matrix(self, side: int) -> np.ndarray:
        """Return the affine map ``(2, 3)`` from pixels of a window of ``side`` pixels to pixels of the scene."""
        c, s = cos(self.angle) * self.zoom, sin(self.angle) * self.zoom
        flip = -1.0 if self.mirrored else 1.0
        turn = np.array([[c * flip, -s], [s * flip, c]])
        # Pixel i covers i..i+1, so the centre of a window lies between its two middle pixels.
        middle = np.full(2, (side - 1) / 2)
        return np.column_stack([turn, np.array([self.x - 0.5, self.y - 0.5]) - turn @ middle])


def draw_place(
    random: np.random.Generator,
    height: int,
    width: int,
    side: int,
    zooms: tuple[float, float],
    angles: Angles = "any",
    mirrored: bool = True,
) -> Place:
    """Draw a window that lies within a scene; where the turned one does not fit, upright, and smaller if it must be.

    Args:
        random: Where the draw comes from.
        height: Rows of the scene.
        width: Columns of the scene.
        side: Side of the window in its own pixels.
        zooms: Smallest and largest zoom; its logarithm is uniform.
        angles: Any angle, right angles only, or none.
        mirrored: Whether half of the windows are mirrored.
    """
    zoom = exp(random.uniform(log(zooms[0]), log(zooms[1])))
    angle, flipped = random.uniform(0, 2 * pi), bool(random.integers(2)) and mirrored
    if angles == "right":
        angle = floor(angle / QUARTER) * QUARTER
    elif angles == "none":
        angle = 0.0
    shorter = min(height, width)
    if side * zoom * (abs(cos(angle)) + abs(sin(angle))) > shorter:
        angle, zoom = round(angle / QUARTER) * QUARTER, min(zoom, shorter / side)
    reach = min(side * zoom * (abs(cos(angle)) + abs(sin(angle))), shorter) / 2
    x, y = random.uniform(reach, width - reach), random.uniform(reach, height - reach)
    return Place(x, y, angle, zoom, flipped)


def cut_window(
    image: np.ndarray | None, mask: np.ndarray, place: Place, side: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Cut a window: the image interpolated linearly, the mask by the nearest pixel.

    Args:
        image: ``(H, W, 3)`` uint8 of the scene, or None.
        mask: ``(H, W)`` uint8 of the scene.
        place: Where.
        side: Side of the window in pixels.

    Returns:
        Image ``(side, side, 3)``, or None, and mask ``(side, side)``, both uint8.
    """
    matrix, size = place.matrix(side), (side, side)
    rows, columns = _box(matrix, mask.shape, side)
    mask, image = mask[rows, columns], None if image is None else image[rows, columns]
    matrix[:, 2] -= columns.start, rows.start
    inverse = cv2.WARP_INVERSE_MAP
    of_mask = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST | inverse, borderMode=cv2.BORDER_REPLICATE)
    if image is None:
        return None, of_mask
    return cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR | inverse, borderMode=cv2.BORDER_REPLICATE
    ), of_mask


def _box(matrix: np.ndarray, shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    """Return rows and columns of a scene around a window: OpenCV refuses to warp more than 32,766 pixels a side."""
    last = side - 1
    corners = matrix @ np.array([[0, last, 0, last], [0, 0, last, last], [1, 1, 1, 1]], np.float64)
    (left, top), (right, bottom) = corners.min(1), corners.max(1)
    # Two pixels more, for interpolation and rounding.
    rows = slice(max(0, floor(top) - 2), min(shape[0], ceil(bottom) + 3))
    return rows, slice(max(0, floor(left) - 2), min(shape[1], ceil(right) + 3))


def mostly_known(random: np.random.Generator, mask: np.ndarray) -> bool:
    """Accept windows of which at most half is ignored."""
    return bool((mask == IGNORE_INDEX).mean() <= 0.5)


class Windows:
    """Windows of some scenes, each by a seed alone; scenes are chosen by their area.

    Args:
        masks: Masks of the scenes, ``(H, W)`` uint8 each.
        images: Their images ``(H, W, 3)`` uint8, or None where masks alone are cut.
        side: Side of a window in pixels.
        settings: Zooms, angles and mirroring.
        accept: Whether a window, given by its mask, is taken; one that is not is drawn again.
        refusal: Raised where no window is accepted; without it the last one is taken then.
    """

    def __init__(
        self,
        masks: Sequence[np.ndarray],
        images: Sequence[np.ndarray] | None,
        side: int,
        settings: WindowSettings = PLAIN,
        accept: Accept = mostly_known,
        refusal: SatSynthError | None = None,
    ) -> None:
        """Keep all of them."""
        self._masks, self._images, self._side = masks, images, side
        self._settings, self._accept, self._refusal = settings, accept, refusal
        areas = np.array([mask.size for mask in masks], np.float64)
        self._chances = areas / areas.sum()

    def cut(self, random: np.random.Generator) -> tuple[np.ndarray | None, np.ndarray]:
        """Cut a window at random; image, or None, and mask."""
        scene, place, found = self.draw(random)
        if self._images is None:
            return None, found
        return cut_window(self._images[scene], self._masks[scene], place, self._side)[0], found

    def draw(self, random: np.random.Generator) -> tuple[int, Place, np.ndarray]:
        """Draw a window at random; number of its scene, its place there, and its mask."""
        for _ in range(TRIES if self._refusal is None else MORE_TRIES):
            scene, place, found = self._draw(random, self._chances)
            if self._accept(random, found):
                return scene, place, found
        if self._refusal is not None:
            raise self._refusal
        return scene, place, found

    def elsewhere(self, random: np.random.Generator, scene: int) -> np.ndarray:
        """Draw the mask of a window of any scene but one, whether accepted or not; of that one if there is no other."""
        chances = np.where(np.arange(len(self._masks)) == scene, 0, self._chances)
        return self._draw(random, chances / chances.sum() if chances.any() else self._chances)[2]

    def _draw(self, random: np.random.Generator, chances: np.ndarray) -> tuple[int, Place, np.ndarray]:
        how, scene = self._settings, int(random.choice(len(self._masks), p=chances))
        height, width = self._masks[scene].shape
        place = draw_place(random, height, width, self._side, how.zoom, how.angles, how.mirrored)
        return scene, place, cut_window(None, self._masks[scene], place, self._side)[1]
