"""Masks for images that were drawn without: what the judge predicts."""

from __future__ import annotations

import time

import numpy as np
import torch

from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.pair import Pair
from satsynth.pairs.regions import without_small_regions
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.features import load_network
from satsynth.segmentation.saved import SavedNetwork
from satsynth.training.device import arithmetic, autocast, choose_device
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.finished import write_timing
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

RESULT_VERSION = 1
BATCH = 32


def judged_pairs(
    drawn: PairStore,
    judge: SavedNetwork,
    tiles: PairStore,
    generator: SavedGenerator,
    smallest_region: int,
    compute: ComputeSettings,
    workspace: Workspace,
) -> PairStore:
    """Return the same images with the classes that the judge sees in them, made once.

    Args:
        drawn: Images with masks that say nothing.
        judge: The network, trained on real pairs only.
        tiles: The real pairs that the generator was trained on.
        generator: What drew the images.
        smallest_region: Regions of fewer pixels take the class nearest to them.
        compute: Where.
        workspace: Where work is kept.
    """
    parents = digests(tiles=tiles, generator=generator, judge=judge, drawn=drawn)
    step = Step("judging", RESULT_VERSION, parents, {"smallest_region": smallest_region, **arithmetic(compute)})

    def label(folder: WorkFolder) -> None:
        began = time.monotonic()
        _label_all(folder, drawn, judge, smallest_region, compute)
        write_timing(folder.result, (drawn.seconds or 0.0) + time.monotonic() - began)
        finish_store(folder, drawn.manifest["classes"], drawn.tile_size, {"family": drawn.manifest["family"]})

    return PairStore(remembered(workspace, step, label).result)


def _label_all(
    folder: WorkFolder, drawn: PairStore, judge: SavedNetwork, smallest_region: int, compute: ComputeSettings
) -> None:
    """Write all shards that are missing."""
    device = choose_device(compute)
    network, arrays, first = load_network(judge, device), drawn.arrays(), 0
    for shard in drawn.manifest["shards"]:
        numbers = range(first, first + int(shard["rows"]))
        first, images = numbers.stop, np.stack([next(arrays)[0] for _ in numbers])
        path = folder.result / shard["file"]
        if path.exists():
            continue
        masks = predicted_masks(network, images, device, compute)
        pairs = [
            Pair(
                f"synthetic-{number:06d}", image, without_small_regions(mask, smallest_region), "synthetic", row=number
            )
            for number, image, mask in zip(numbers, images, masks, strict=True)
        ]
        write_shard(path, pairs, drawn.class_names)


@torch.inference_mode()
def predicted_masks(
    network: torch.nn.Module, images: np.ndarray, device: torch.device, compute: ComputeSettings
) -> np.ndarray:
    """Return the most probable classes ``(N, H, W)`` uint8 of images ``(N, H, W, 3)`` uint8.

    Args:
        network: A segmentation network on its device, ready to be evaluated.
        images: The images.
        device: Device of the network.
        compute: How to compute.
    """
    empty, found = np.zeros(images.shape[1:3], np.uint8), []
    for first in range(0, len(images), BATCH):
        batch = torch.stack([to_tensors(image, empty)[0] for image in images[first : first + BATCH]])
        with autocast(device, compute):
            logits = network(batch.to(device, memory_format=torch.channels_last))
        found.append(logits.argmax(1).to(torch.uint8).cpu().numpy())
    return np.concatenate(found)
