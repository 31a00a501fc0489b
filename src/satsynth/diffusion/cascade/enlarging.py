"""Training of an enlarger: on crops of real pairs, given their own reductions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from satsynth.diffusion.averaged import averaged_training, optimizer_for, seconds_on_noise
from satsynth.diffusion.cascade.enlarger import Enlarger
from satsynth.diffusion.cascade.reduction import condition, reduce_images, reduce_masks
from satsynth.diffusion.cascade.settings import EnlargerSettings
from satsynth.diffusion.losses import batch_levels, in_parts, joint_loss, weighted
from satsynth.diffusion.network import memory_format
from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.training import CHECKPOINT
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mixtures import Stream
from satsynth.pairs.stream import PairStream, training_stream
from satsynth.training.device import autocast, choose_device, describe_device, memory_errors
from satsynth.training.launching import in_ranks
from satsynth.training.loop import PartLoss, StepLoss, train
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.reporting import Report
from satsynth.training.seeds import generator as seeded
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings
from satsynth.training.weights import save_weights
from satsynth.work.files import write_json
from satsynth.work.finished import write_timing
from satsynth.work.folder import WorkFolder

# What a seed is used for; order and augmentation have 0 and 1.
LOSS, PLACE, LOOK = 2, 5, 6
# Pairs of which errors are measured at a look.
SEEN = 32
MEMORY = "Set `cascade.enlarger.micro_batch`, or lower `cascade.enlarger.crop`."
log = logging.getLogger(__name__)


class Crops(Stream):
    """Crops of a stream of pairs, each at a place that depends on (seed, position) only.

    Args:
        pairs: The stream.
        crop: Side of a crop in pixels.
        factor: Crops begin at multiples of it, where small pixels do.
        seed: Seed of the places.
    """

    def __init__(self, pairs: Stream, crop: int, factor: int, seed: int) -> None:
        """Keep them."""
        self._pairs, self._crop, self._factor, self._seed = pairs, crop, factor, seed

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, crop, crop)`` in [-1, 1] and mask ``(crop, crop)`` at a position >= 0."""
        image, mask = self._pairs[position]
        random = np.random.default_rng([self._seed, PLACE, position])
        places = (mask.shape[0] - self._crop) // self._factor + 1
        top, left = (int(start) * self._factor for start in random.integers(places, size=2))
        rows, columns = slice(top, top + self._crop), slice(left, left + self._crop)
        return image[:, rows, columns].contiguous(), mask[rows, columns].contiguous()


@dataclass(frozen=True)
class Enlargement:
    """What an enlarger is trained on, and how.

    Args:
        pairs: Real training pairs, of the size of a tile.
        val: Real pairs of held-out scenes, used only to measure errors.
        classes: Number of classes.
        factor: Pixels along a side for one of the small pairs.
        settings: What to train and how.
        unlabelled: Images without masks.
    """

    pairs: DecodedPairs
    val: DecodedPairs
    classes: int
    factor: int
    settings: EnlargerSettings
    unlabelled: DecodedPairs | None = None


def train_enlarger(folder: WorkFolder, task: Enlargement, compute: ComputeSettings, report: Report) -> None:
    """Train an enlarger on crops of pairs and of their reductions, and finish its folder.

    Args:
        folder: Its work folder.
        task: What is trained.
        compute: Where.
        report: Takes metrics.
    """
    task.settings.require_processes(compute.processes)
    in_ranks(_train, (folder, task), compute, report)


def _train(folder: WorkFolder, task: Enlargement, compute: ComputeSettings, report: Report, ranks: Ranks) -> None:
    """Do the part of one process; see `train_enlarger`."""
    device, settings, factor = choose_device(compute), task.settings, task.factor
    enlarger = _fresh_enlarger(settings, task.classes, device)
    held_out = Crops(PairStream([task.val], settings.seed, "none"), settings.crop, factor, settings.seed)
    log.info(
        "Enlargement: training on %d crops of %d pixels, on %s", settings.images, settings.crop, describe_device(device)
    )

    def look(averaged: nn.Module, done: int) -> Mapping[str, float]:
        seen, number = enlarger.with_denoiser(averaged), min(SEEN, len(task.val))
        return {"val_error": error_on(seen, held_out, number, factor, settings, compute)}

    step_loss = enlarging_step(enlarger, factor, settings, device, compute, task.unlabelled is not None, ranks)
    course = averaged_training("Enlargement", enlarger.denoiser, settings, step_loss, look, ranks)
    training = course.training
    mixed = training_stream(task.pairs, task.unlabelled, settings.unlabelled_share, settings.seed)
    stream = Crops(mixed, settings.crop, factor, settings.seed)
    with memory_errors(MEMORY):
        seconds = train(training, stream, folder.path / CHECKPOINT, device, compute, report.metrics)
    if not ranks.leads:
        return
    images = training.steps * settings.batch_size
    log.info("Enlargement: %d crops in %.1f minutes", images, seconds / 60)
    save_weights(folder.result / AVERAGED, course.kept)
    write_json(folder.result / "history.json", training.history)
    write_timing(folder.result, seconds)
    folder.finish({"kind": "enlarger", "images": images}, [AVERAGED, "history.json"])
    folder.forget_helpers()


def _fresh_enlarger(settings: EnlargerSettings, classes: int, device: torch.device) -> Enlarger:
    with shared_random_state(settings.seed):
        enlarger = Enlarger(settings.model, classes)
    enlarger.denoiser.to(device).to(memory_format=memory_format(device))
    return enlarger


def seconds_a_crop(
    settings: EnlargerSettings, classes: int, factor: int, compute: ComputeSettings, steps: int
) -> float:
    """Return how long training an enlarger takes here for each crop, from a few steps on noise; looks are left out.

    Args:
        settings: What would be trained and how.
        classes: Number of classes.
        factor: Pixels along a side for one of the small pairs.
        compute: Where.
        steps: Steps that are timed.
    """
    device = choose_device(compute)
    enlarger = _fresh_enlarger(settings, classes, device)
    optimizer = optimizer_for(enlarger.denoiser, settings)
    step_loss = enlarging_step(enlarger, factor, settings, device, compute)
    with memory_errors(MEMORY):
        return seconds_on_noise(optimizer, step_loss, settings.batch_size, settings.crop, device, steps)


def enlarging_step(
    enlarger: Enlarger,
    factor: int,
    settings: EnlargerSettings,
    device: torch.device,
    compute: ComputeSettings,
    unlabelled: bool = False,
    ranks: Ranks = ALONE,
) -> StepLoss:
    """Return the losses of one batch, for a `Training`; see `satsynth.diffusion.losses.denoising_step`."""

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        random = seeded(settings.seed, LOSS, seen, device=device)
        size = len(images) * ranks.count
        levels = batch_levels(settings, masks, unlabelled, random, ranks)
        noise = torch.randn((size, enlarger.channels, *images.shape[2:]), generator=random, device=device)
        noise = noise[ranks.rows(size)]
        given = given_of(enlarger, images, masks, factor, settings.condition_noise, random, ranks)
        for rows in in_parts(len(images), settings.micro_batch):
            with autocast(device, compute):
                found = joint_loss(enlarger.of(given[rows]), images[rows], masks[rows], levels[rows], noise[rows])
            yield weighted(found, len(images[rows]) / size)

    return step_loss


def given_of(
    enlarger: Enlarger,
    images: torch.Tensor,
    masks: torch.Tensor,
    factor: int,
    most: float,
    random: torch.Generator,
    ranks: Ranks = ALONE,
) -> torch.Tensor:
    """Return what the enlarger is given of real pairs: their reduction, its image with noise of an amount of its own.

    Args:
        enlarger: The enlarger.
        images: ``(B, 3, H, W)`` in [-1, 1].
        masks: ``(B, H, W)`` of class indices, 255 = ignore.
        factor: Pixels that become one, along a side.
        most: Largest standard deviation of the noise; each image's is uniform below it.
        random: Where the noise comes from.
        ranks: The processes among which the rows of the batch are dealt out.

    Returns:
        ``(B, 3 + C, H, W)`` float32.
    """
    small, size = reduce_images(images, factor), len(images) * ranks.count
    amounts = most * torch.rand(size, 1, 1, 1, generator=random, device=images.device)
    noise = torch.randn((size, *small.shape[1:]), generator=random, device=images.device)
    small = small + (amounts * noise)[ranks.rows(size)]
    return condition(small, reduce_masks(masks, factor, len(enlarger.code.codebook)), factor, enlarger.code)


@torch.inference_mode()
def error_on(
    enlarger: Enlarger,
    crops: Crops,
    number: int,
    factor: int,
    settings: EnlargerSettings,
    compute: ComputeSettings,
) -> float:
    """Return the mean loss on some held-out crops: the same crops, noise levels and noise at each look."""
    device = choose_device(compute)
    images, masks = (torch.stack(part).to(device) for part in zip(*(crops[i] for i in range(number)), strict=True))
    step_loss = enlarging_step(enlarger, factor, settings, device, compute)
    return float(sum(loss for loss, _ in step_loss(images, masks, LOOK)))
