"""Finished generators that hold the pairs themselves, as arrays."""

from __future__ import annotations

import numpy as np

from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import IMAGES, MASKS, DecodedPairs

STORED = (IMAGES, MASKS)


def stored_pairs(saved: SavedGenerator) -> DecodedPairs:
    """Return the pairs of a generator that holds them, without reading them into memory."""
    images, masks = (np.load(saved.file(name), mmap_mode="r") for name in STORED)
    return DecodedPairs(images, masks)
