"""Training one segmentation network and evaluating it on real held-out scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mixtures import Stream
from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.metrics import BoundaryTally, confusion_matrix, scores
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.saved import WEIGHTS, run_row
from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
from satsynth.training.best import BestWeights
from satsynth.training.device import autocast, choose_device, memory_errors, seconds_a_step
from satsynth.training.loop import MetricLog, Training, look_points, train, warm_cosine
from satsynth.training.seeds import mixed_seed
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import DataError
from satsynth.work.files import atomic, write_json
from satsynth.work.finished import TIMING
from satsynth.work.folder import WorkFolder
from satsynth.work.ignore import IGNORE_INDEX

RESULT_VERSION = 4
# What a seed is used for; order and augmentation have 0 and 1.
DROPOUT = 2


@dataclass(frozen=True)
class HeldOut:
    """Pairs of a held-out split with the scene of each.

    Args:
        pairs: The pairs.
        scenes: Scene of each pair.
    """

    pairs: DecodedPairs
    scenes: Sequence[str]


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    held_out: HeldOut,
    classes: int,
    device: torch.device,
    compute: ComputeSettings,
    batch_size: int = 32,
    boundaries: BoundaryTally | None = None,
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
    network.train()
    return matrices


def train_network(
    folder: WorkFolder,
    network_settings: SegmentationNetwork,
    stream: Stream,
    images: int,
    val: HeldOut,
    test: HeldOut,
    class_names: Sequence[str],
    seed: int,
    settings: TrainingSettings,
    compute: ComputeSettings,
    on_metrics: MetricLog,
    facts: Mapping[str, Any],
    title: str,
    keep_weights: bool,
) -> dict[str, Any]:
    """Train one network to the end of its budget, choose by val, evaluate once on test, and store the outcome.

    Args:
        folder: Work folder.
        network_settings: Which network.
        stream: Training pairs.
        images: Training budget in images.
        val: Pairs of the val split, for choosing among steps.
        test: Pairs of the test split.
        class_names: Names in order of the class index.
        seed: Seed of initialisation and dropout; order and augmentation are the stream's.
        settings: How to train.
        compute: Where.
        on_metrics: Called with step and metrics as training goes on.
        facts: What identifies the run, for its row.
        title: What is shown beside the progress.
        keep_weights: Whether to store the chosen weights.

    Returns:
        The row of the run: facts, scores on test, seconds.

    Raises:
        DataError: The val or the test split has no labelled pixel.
    """
    for split, held_out in (("val", val), ("test", test)):
        if not any((held_out.pairs[i][1] != IGNORE_INDEX).any() for i in range(len(held_out.pairs))):
            raise DataError(
                f"No pixel of the {len(held_out.pairs)} pairs of the {split} split is labelled: it cannot be scored.",
                f"Name other groups in `splits.{split}` of the data set's description.",
            )
    device = choose_device(compute)
    torch.manual_seed(seed)
    classes = len(class_names)
    network = build_network(network_settings, classes).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    best = BestWeights()
    steps = max(1, images // settings.batch_size)
    looks = look_points(steps / 2, steps, settings.evaluations)

    def step_loss(
        images: torch.Tensor, masks: torch.Tensor, seen: int
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        # Dropout draws from the global generator: without this a continued training would differ from an unbroken one.
        torch.manual_seed(mixed_seed(seed, DROPOUT, seen))
        with autocast(device, compute):
            logits = network(images)
        errors = F.cross_entropy(logits.float(), masks, ignore_index=IGNORE_INDEX, reduction="none").sum()
        return errors / (masks != IGNORE_INDEX).sum().clamp(min=1), {}

    def after_step(done: int) -> Mapping[str, float]:
        if done not in looks:
            return {}
        looked = evaluate(network, val, classes, device, compute)
        found = scores(np.sum(list(looked.values()), axis=0))
        best.offer(found.miou, done, network)
        return {"val_miou": found.miou}

    training = Training(
        title=title,
        network=network,
        optimizer=optimizer,
        step_loss=step_loss,
        steps=steps,
        batch_size=settings.batch_size,
        rate_at=warm_cosine(settings.learning_rate, steps, max(1, steps // 20)),
        clip=settings.clip,
        parts={"network": network, "optimizer": optimizer, "best": best},
        after_step=after_step,
    )
    with memory_errors("Lower `segmentation.training.batch_size`."):
        seconds = train(training, stream, folder.path / "checkpoint.pt", device, compute, on_metrics)
    network.load_state_dict(best.weights)
    boundaries = BoundaryTally(classes)
    matrices = evaluate(network, test, classes, device, compute, boundaries=boundaries)
    boundary = boundaries.f1()
    total = scores(np.sum(list(matrices.values()), axis=0))
    row: dict[str, Any] = {
        **facts,
        "steps": steps,
        "best_step": best.step,
        "val_miou": best.score,
        "miou": total.miou,
        "mf1": total.mf1,
        "accuracy": total.accuracy,
        "boundary_f1": float(np.nanmean(boundary)) if np.isfinite(boundary).any() else None,
        **{
            f"iou_{name}": None if np.isnan(value) else float(value)
            for name, value in zip(class_names, total.iou, strict=True)
        },
    }
    told = ("miou", "mf1", "accuracy", "boundary_f1")
    on_metrics(steps, {f"test_{name}": row[name] for name in told if row[name] is not None})
    if keep_weights:
        with atomic(folder.result / WEIGHTS) as temporary:
            save_file({key: value.contiguous() for key, value in best.weights.items()}, temporary)
    write_json(folder.result / TIMING, {"seconds": seconds})
    confusion = {scene: matrix.tolist() for scene, matrix in sorted(matrices.items())}
    manifest = {
        "kind": "segmentation",
        "network": network_settings.model_dump(mode="json"),
        "classes": list(class_names),
        "row": row,
        "confusion": confusion,
    }
    folder.finish(manifest, [WEIGHTS] if keep_weights else [])
    folder.forget_helpers()
    return run_row(folder)


def seconds_an_image(
    settings: SegmentationNetwork, classes: int, side: int, batch_size: int, compute: ComputeSettings, steps: int = 2
) -> float:
    """Return how long a training step of a network takes here, for each image, from a few steps on noise."""
    device = choose_device(compute)
    network = build_network(settings, classes).to(device).to(memory_format=torch.channels_last)
    images = torch.randn(batch_size, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)

    def one(step: int) -> None:
        with autocast(device, compute):
            logits = network(images)
        logits.float().square().mean().backward()

    return seconds_a_step(one, device, steps) / batch_size
