"""Small sets of pairs for measures."""

from __future__ import annotations

from typing import Any

import numpy as np

from satsynth.analysis.measures.inputs import MeasureInputs

CLASSES = ("water", "land", "town")
SIZES = {"train": 12, "val": 10, "synthetic": 9}


def made_inputs(**changes: Any) -> MeasureInputs:
    """Return noise as images, masks and features; those of `synthetic` are far from those of `train`."""
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (size, 16, 16, 3), np.uint8) for name, size in SIZES.items()}
    images["synthetic"] //= 2
    masks = {name: random.integers(0, 3, (size, 16, 16), np.uint8) for name, size in SIZES.items()}
    masks["synthetic"] //= 2
    features = {name: random.normal(0, 1, (size, 6)) for name, size in SIZES.items()}
    features["synthetic"] += 4
    # Half of val is outside of what train has.
    features["val"][:5] += 2
    made: dict[str, Any] = {
        "class_names": CLASSES,
        "scenes": {"train": list("aaabbbcccddd"), "val": list("eeeeefffff"), "synthetic": None},
        "images": images,
        "masks": masks,
        "features": features,
    }
    return MeasureInputs(**{**made, **changes})
