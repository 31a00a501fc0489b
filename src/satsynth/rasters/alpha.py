"""Whether a band that a file calls alpha is transparency: many programs give that name to any fourth band."""

from __future__ import annotations

import numpy as np

# Pixels that are looked at; of larger rasters, a sample.
SAMPLED = 1 << 20
# Soft borders have many levels of transparency in few pixels.
_LEVELS = 16
_SHARE = 0.2


def holds_data(values: np.ndarray) -> bool:
    """Return whether values are too many to be transparency, as in near infrared or elevation.

    Args:
        values: Values of the band, of any type and shape.
    """
    seen = values[values > 0]
    if not seen.size:
        return False
    levels, counts = np.unique(seen, return_counts=True)
    # Opaque pixels share one level, which is not the largest of the type in every file.
    return len(levels) > _LEVELS and 1 - counts.max() / seen.size > _SHARE
