"""Evaluating a network on real held-out scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.metrics import BoundaryTally, confusion_matrix
from satsynth.training.device import autocast
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.progress import Progress


@dataclass(frozen=True)
class HeldOut:
    """Pairs of a held-out split with the scene of each.

    Args:
        pairs: The pairs.
        scenes: Scene of each pair.
    """

    pairs: DecodedPairs
    scenes: Sequence[str]


@dataclass(frozen=True)
class HeldOutSplits:
    """What a training is chosen by and measured by.

    Args:
        val: Pairs of the val split, by which the best weights are chosen.
        test: Pairs of the test split, which the chosen weights are evaluated on once.
        class_names: Names in order of the class index.
    """

    val: HeldOut
    test: HeldOut
    class_names: Sequence[str]

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    def require_labels(self) -> None:
        """Refuse a split that cannot be scored.

        Raises:
            DataError: The val or the test split has no labelled pixel.
        """
        for split, held_out in (("val", self.val), ("test", self.test)):
            if not any((held_out.pairs[i][1] != IGNORE_INDEX).any() for i in range(len(held_out.pairs))):
                raise DataError(
                    f"No pixel of the {len(held_out.pairs)} pairs of the {split} split is labelled: it cannot be "
                    "scored.",
                    f"Name other groups in `splits.{split}` of the data set's description.",
                )


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    held_out: HeldOut,
    classes: int,
    device: torch.device,
    compute: ComputeSettings,
    batch_size: int = 32,
    boundaries: BoundaryTally | None = None,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Return the confusion matrix ``(K, K)`` of each scene, by name.

    Args:
        network: The network, on its device.
        held_out: What it is evaluated on.
        classes: Number of classes K.
        device: Device of the network.
        compute: How to compute.
        batch_size: Tiles at once.
        boundaries: Counts boundaries too, if given.
        progress: Counts tiles, if given.
    """
    network.eval()
    matrices: dict[str, np.ndarray] = {}
    for first in range(0, len(held_out.pairs), batch_size):
        part = range(first, min(first + batch_size, len(held_out.pairs)))
        tensors = [to_tensors(*held_out.pairs[i]) for i in part]
        images = torch.stack([image for image, _ in tensors]).to(
            device, non_blocking=True, memory_format=torch.channels_last
        )
        with autocast(device, compute):
            predicted = network(images).argmax(1).cpu()
        for i, guess, (_, mask) in zip(part, predicted, tensors, strict=True):
            scene = held_out.scenes[i]
            matrices[scene] = matrices.get(scene, 0) + confusion_matrix(guess, mask, classes)
            if boundaries is not None:
                boundaries.add(guess.numpy(), mask.numpy())
        if progress is not None:
            progress.update(len(part))
    network.train()
    return matrices
