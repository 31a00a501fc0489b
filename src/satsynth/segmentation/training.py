"""Training one segmentation network and evaluating it on real held-out scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from satsynth.pairs.mixtures import Stream
from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.beforehand import network_identity
from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits, evaluate
from satsynth.segmentation.metrics import BoundaryTally, scores
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.saved import SCORES, WEIGHTS, training_row
from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
from satsynth.training.best import BestWeights
from satsynth.training.device import autocast, choose_device, memory_errors, seconds_a_step
from satsynth.training.ema import MovingAverage
from satsynth.training.loop import PartLoss, Training, look_points, train, warm_cosine
from satsynth.training.reporting import SILENCE, Report
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings
from satsynth.training.weights import save_weights
from satsynth.work.finished import write_timing
from satsynth.work.folder import WorkFolder
from satsynth.work.progress import Progress

# What a seed is used for; order and augmentation have 0 and 1.
DROPOUT = 2


@dataclass(frozen=True)
class TrainingTask:
    """What is trained, on which pairs and for how long.

    Args:
        title: What is shown beside the progress.
        network: Which network.
        stream: Training pairs.
        images: Training budget in images.
        seed: Seed of initialisation and dropout; order and augmentation are the stream's.
        settings: How to train.
        columns: What identifies the training in its row.
        keep_weights: Whether to store the chosen weights.
    """

    title: str
    network: SegmentationNetwork
    stream: Stream
    images: int
    seed: int
    settings: TrainingSettings
    columns: Mapping[str, Any]
    keep_weights: bool = False

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return max(1, self.images // self.settings.batch_size)


def train_network(
    folder: WorkFolder,
    task: TrainingTask,
    held_out: HeldOutSplits,
    compute: ComputeSettings,
    report: Report = SILENCE,
) -> dict[str, Any]:
    """Train one network to the end of its budget, choose by val, evaluate once on test, and store the outcome.

    Args:
        folder: Work folder; what it holds of an interrupted training is continued.
        task: What is trained.
        held_out: What it is chosen and measured by.
        compute: Where.
        report: Takes metrics as training goes on.

    Returns:
        The row of the training: what identifies it, scores on test, seconds.

    Raises:
        DataError: The val or the test split has no labelled pixel.
    """
    held_out.require_labels()
    device = choose_device(compute)
    learner = _Learner(task, held_out, device, compute)
    with memory_errors("Lower `segmentation.training.batch_size`, or `batch_size` of this network."):
        checkpoint = folder.path / "checkpoint.pt"
        course = learner.training()
        seconds = train(course, task.stream, checkpoint, device, compute, report.metrics)
    row, confusion = learner.outcome()
    # The history is a part of checkpoints, so a continued training knows all of its looks.
    looks = {int(entry["step"]): entry["val_miou"] for entry in course.history if "val_miou" in entry}
    row["val_rise"] = val_rise(looks)
    report.metrics(task.steps, {f"test_{name}": row[name] for name in SCORES if row[name] is not None})
    _store(folder, task, held_out, learner.best.weights, row, confusion, seconds)
    return training_row(folder)


def val_rise(looks: Mapping[int, float]) -> float | None:
    """Return by how much the mIoU on val has risen in about the last quarter of a training.

    It is the difference of the last look and the earlier one that is nearest to three quarters of the steps, so that it
    means the same for any number of looks.

    Args:
        looks: mIoU on val, in [0, 1], by the number of steps done.

    Returns:
        The difference in [-1, 1], or None with fewer than two looks.
    """
    if len(looks) < 2:
        return None
    *earlier, last = sorted(looks)
    return looks[last] - looks[min(earlier, key=lambda step: abs(step - 0.75 * last))]


class _Learner:
    """A network in training, and its best weights so far.

    Args:
        task: What is trained.
        held_out: What it is chosen and measured by.
        device: Where.
        compute: How to compute.
    """

    def __init__(
        self, task: TrainingTask, held_out: HeldOutSplits, device: torch.device, compute: ComputeSettings
    ) -> None:
        """Build the network from its seed."""
        self._task, self._held_out, self._device, self._compute = task, held_out, device, compute
        with shared_random_state(task.seed):
            network = build_network(task.network, held_out.classes)
        self._architecture = ARCHITECTURES[task.network.architecture]
        self._network = network.to(device).to(memory_format=torch.channels_last)
        decay = task.network.ema
        self._average = None if decay is None else MovingAverage(self._network, decay)
        self._looks = look_points(task.steps / 2, task.steps, task.settings.evaluations)
        self.best = BestWeights()

    def training(self) -> Training:
        """Return the training for the common loop."""
        task, settings = self._task, self._task.settings
        optimizer = torch.optim.AdamW(
            self._network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        averaged = {} if self._average is None else {"average": self._average}
        return Training(
            title=task.title,
            network=self._network,
            optimizer=optimizer,
            step_loss=self._step_loss,
            steps=task.steps,
            batch_size=settings.batch_size,
            rate_at=warm_cosine(settings.learning_rate, task.steps, max(1, task.steps // 20)),
            clip=settings.clip,
            parts={"network": self._network, "optimizer": optimizer, "best": self.best, **averaged},
            after_step=self._after_step,
        )

    def outcome(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Evaluate the best weights on test; return the row and the confusion matrix of each scene."""
        self._network.load_state_dict(self.best.weights)
        boundaries = BoundaryTally(self._held_out.classes)
        test = self._held_out.test
        with Progress(len(test.pairs), f"{self._task.title}, test", "tiles") as progress:
            confusion = self._confusion(self._network, test, boundaries, progress)
        total, boundary = scores(np.sum(list(confusion.values()), axis=0)), boundaries.f1()
        return {
            **self._task.columns,
            "steps": self._task.steps,
            "best_step": self.best.step,
            "val_miou": self.best.score,
            "miou": total.miou,
            "mf1": total.mf1,
            "accuracy": total.accuracy,
            "boundary_f1": float(np.nanmean(boundary)) if np.isfinite(boundary).any() else None,
            **{
                f"iou_{name}": None if np.isnan(value) else float(value)
                for name, value in zip(self._held_out.class_names, total.iou, strict=True)
            },
        }, confusion

    def _confusion(
        self,
        network: nn.Module,
        held_out: HeldOut,
        boundaries: BoundaryTally | None = None,
        progress: Progress | None = None,
    ) -> dict[str, np.ndarray]:
        classes = self._held_out.classes
        return evaluate(
            network, held_out, classes, self._device, self._compute, boundaries=boundaries, progress=progress
        )

    def _step_loss(self, images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        # Dropout draws from the random state that all share: a continued training must equal an unbroken one.
        with shared_random_state(self._task.seed, DROPOUT, seen), autocast(self._device, self._compute):
            loss = self._architecture.loss(self._network, images, masks)
        yield loss, {}

    def _after_step(self, done: int) -> Mapping[str, float]:
        """Evaluate on val at some of the steps, and keep the weights if they are the best so far."""
        if self._average is not None:
            self._average.update_parameters(self._network)
        if done not in self._looks:
            return {}
        network = self._network if self._average is None else self._average.module
        quick = self._architecture.quick(network, self._task.network)
        found = scores(np.sum(list(self._confusion(quick, self._held_out.val).values()), axis=0))
        self.best.offer(found.miou, done, network)
        return {"val_miou": found.miou}


def _store(
    folder: WorkFolder,
    task: TrainingTask,
    held_out: HeldOutSplits,
    weights: Mapping[str, torch.Tensor],
    row: Mapping[str, Any],
    confusion: Mapping[str, np.ndarray],
    seconds: float,
) -> None:
    """Write the outcome and finish the folder."""
    if task.keep_weights:
        save_weights(folder.result / WEIGHTS, weights)
    write_timing(folder.result, seconds)
    manifest = {
        "kind": "segmentation",
        "network": network_identity(task.network),
        "classes": list(held_out.class_names),
        "row": row,
        "confusion": {scene: matrix.tolist() for scene, matrix in sorted(confusion.items())},
    }
    folder.finish(manifest, [WEIGHTS] if task.keep_weights else [])
    folder.forget_helpers()


def seconds_an_image(
    settings: SegmentationNetwork, classes: int, side: int, batch_size: int, compute: ComputeSettings, steps: int = 2
) -> float:
    """Return how long a training step of a network takes here, for each image, from a few steps on noise."""
    device = choose_device(compute)
    architecture = ARCHITECTURES[settings.architecture]
    with shared_random_state(0):
        network = build_network(settings, classes).to(device).to(memory_format=torch.channels_last)
        images = torch.randn(batch_size, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        masks = torch.zeros(batch_size, side, side, dtype=torch.int64, device=device)

        def one(step: int) -> None:
            with autocast(device, compute):
                loss = architecture.loss(network, images, masks)
            loss.backward()

        return seconds_a_step(one, device, steps) / batch_size
