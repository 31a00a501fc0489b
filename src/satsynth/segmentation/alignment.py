"""How well masks fit their images, by the predictions of a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from satsynth.pairs.cache import DecodedPairs
from satsynth.segmentation.evaluation import HeldOut, evaluate
from satsynth.segmentation.features import load_network
from satsynth.segmentation.metrics import scores
from satsynth.segmentation.saved import SavedNetwork
from satsynth.training.device import choose_device
from satsynth.training.settings import ComputeSettings


def agreement(
    saved: SavedNetwork, pairs: DecodedPairs, class_names: Sequence[str], compute: ComputeSettings
) -> dict[str, Any]:
    """Return the scores of a network's predictions on some images against their masks.

    Args:
        saved: The network, trained on real pairs.
        pairs: Images and masks.
        class_names: Names in order of the class index.
        compute: Where.

    Returns:
        ``miou``, ``accuracy`` and ``iou`` by class in [0, 1]; None for what no mask has.
    """
    device = choose_device(compute)
    held_out = HeldOut(pairs, [""] * len(pairs))
    found = scores(evaluate(load_network(saved, device), held_out, len(class_names), device, compute)[""])
    return {
        "miou": _known(found.miou),
        "accuracy": _known(found.accuracy),
        "iou": {name: _known(value) for name, value in zip(class_names, found.iou, strict=True)},
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
