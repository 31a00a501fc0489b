"""Training of a denoiser."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.network import StemUNet, memory_format
from satsynth.diffusion.saved import AVERAGED, HISTORY, WEIGHTS
from satsynth.diffusion.settings import DenoiserSettings
from satsynth.diffusion.starting import start_from
from satsynth.diffusion.starting_points import starting_point
from satsynth.diffusion.watching import Watch
from satsynth.generation.families import Report
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import training_stream
from satsynth.training.best import BestWeights
from satsynth.training.device import (
    choose_device,
    describe_device,
    memory_errors,
    memory_in_words,
    seconds_a_step,
)
from satsynth.training.ema import MovingAverage
from satsynth.training.launching import in_ranks
from satsynth.training.loop import StepLoss, Training, look_points, train, warm_cosine
from satsynth.training.muon import Muon
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.seeds import generator as seeded
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings
from satsynth.training.weights import save_weights
from satsynth.work.files import write_json
from satsynth.work.finished import write_timing
from satsynth.work.folder import WorkFolder

CHECKPOINT = "checkpoint.pt"
MEMORY = "Set the family's `micro_batch` (`diffusion.micro_batch`), or its `gradient_checkpointing: true`."
log = logging.getLogger(__name__)


def optimizer_for(network: nn.Module, settings: DenoiserSettings) -> torch.optim.Optimizer:
    """Return the optimizer of a network."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    return Muon(network.parameters(), rate, decay, betas=(0.9, 0.99))


@dataclass(frozen=True)
class AveragedTraining:
    """The training of a denoiser, whose averaged weights are looked at and kept.

    Args:
        training: The training.
        average: The averaged weights.
        best: Those with the smallest error on held-out pairs.
        keep: Which of them are kept: `last` or `best`.
    """

    training: Training
    average: MovingAverage
    best: BestWeights
    keep: str

    @property
    def kept(self) -> dict[str, torch.Tensor]:
        """The weights to keep."""
        return self.best.weights if self.keep == "best" else self.average.module.state_dict()


def averaged_training(
    title: str,
    network: nn.Module,
    settings: DenoiserSettings,
    step_loss: StepLoss,
    look: Callable[[nn.Module, int], Mapping[str, float]],
    ranks: Ranks = ALONE,
) -> AveragedTraining:
    """Return the training of a network, not begun.

    Args:
        title: What is shown beside the progress.
        network: The network, on its device.
        settings: How it is trained.
        step_loss: Losses of the parts of one batch.
        look: Measures the network of averaged weights after a number of steps; ``val_error`` decides which are best.
        ranks: The processes that train it, of which the first one looks.
    """
    average, best = MovingAverage(network, settings.ema), BestWeights()
    optimizer, steps = optimizer_for(network, settings), max(1, settings.images // settings.batch_size)
    looks = look_points(0, steps, settings.looks)

    def after_step(done: int) -> Mapping[str, float]:
        average.update_parameters(network)
        if done not in looks or not ranks.leads:
            return {}
        errors = look(average.module, done)
        best.offer(-errors["val_error"], done, average.module)
        return errors

    training = Training(
        title=title,
        network=network,
        optimizer=optimizer,
        step_loss=step_loss,
        steps=steps,
        batch_size=settings.batch_size,
        rate_at=warm_cosine(settings.learning_rate, steps, min(100, max(1, steps // 10))),
        clip=settings.clip,
        parts={"network": network, "optimizer": optimizer, "average": average, "best": best},
        after_step=after_step,
        ranks=ranks,
    )
    return AveragedTraining(training, average, best, settings.keep)


def train_denoiser(
    folder: WorkFolder,
    pairs: DecodedPairs,
    val: DecodedPairs,
    origin: Mapping[str, Any],
    settings: DenoiserSettings,
    compute: ComputeSettings,
    report: Report,
    unlabelled: DecodedPairs | None = None,
) -> None:
    """Train a denoiser to the end of its budget, continuing what the folder holds, and finish the folder.

    Args:
        folder: Work folder.
        pairs: Real training pairs.
        val: Real pairs of held-out scenes, used only to measure errors (and to choose among looks, with `keep: best`).
        origin: ``family``, ``classes``, ``tile_size`` and ``scenes`` for the manifest.
        settings: What to train and how.
        compute: Where.
        report: Takes metrics as training goes on, and at each look pairs drawn from fixed seeds.
        unlabelled: Images without masks, from which only the image channels learn.

    Raises:
        SatSynthError: The tile size does not fit the network, or the loss is not finite.
    """
    check_size(settings.model.network, int(origin["tile_size"]))
    settings.require_processes(compute.processes)
    in_ranks(_train, (folder, pairs, val, origin, settings, unlabelled), compute, report)


def _train(
    folder: WorkFolder,
    pairs: DecodedPairs,
    val: DecodedPairs,
    origin: Mapping[str, Any],
    settings: DenoiserSettings,
    unlabelled: DecodedPairs | None,
    compute: ComputeSettings,
    report: Report,
    ranks: Ranks,
) -> None:
    """Do the part of one process; see `train_denoiser`."""
    device = choose_device(compute)
    _announce(folder, pairs, unlabelled, origin, settings, compute, ranks)
    generator = _fresh_generator(settings, len(origin["classes"]), device)
    if settings.start_from:
        start_from(generator, settings.model, origin["classes"], starting_point(settings.start_from))
    network = generator.denoiser
    watch = Watch(pairs, val, settings.drawing, device, compute, report.pictures)
    course = averaged_training(
        "Diffusion",
        network,
        settings,
        denoising_step(generator, settings, device, compute, unlabelled is not None, ranks),
        lambda averaged, done: watch.look(generator.with_denoiser(averaged), done),
        ranks,
    )
    training = course.training
    # After the average was made: it neither saves memory nor is compiled.
    inner = cast(StemUNet, network.network)
    if settings.gradient_checkpointing:
        inner.unet.enable_gradient_checkpointing()
    if settings.compile:
        inner.compile()
    stream = training_stream(pairs, unlabelled, settings.unlabelled_share, settings.seed)
    with memory_errors(MEMORY):
        seconds = train(training, stream, folder.path / CHECKPOINT, device, compute, report.metrics)
    if not ranks.leads:
        return
    _tell(training, seconds, course.best)
    for name, weights in ((WEIGHTS, network.state_dict()), (AVERAGED, course.kept)):
        save_weights(folder.result / name, weights)
    write_json(folder.result / HISTORY, training.history)
    write_timing(folder.result, seconds)
    manifest = {
        "kind": "generator",
        "model": settings.model.model_dump(mode="json"),
        "images": training.steps * settings.batch_size,
        "averaged_at_step": course.best.step if settings.keep == "best" else training.steps,
        **origin,
    }
    folder.finish(manifest, [WEIGHTS, AVERAGED, HISTORY])
    folder.forget_helpers()


def _announce(
    folder: WorkFolder,
    pairs: DecodedPairs,
    unlabelled: DecodedPairs | None,
    origin: Mapping[str, Any],
    settings: DenoiserSettings,
    compute: ComputeSettings,
    ranks: Ranks,
) -> None:
    """Log what will be trained, and for how long unless it continues: a continued training shows how far it is."""
    side, classes, estimate = int(origin["tile_size"]), len(origin["classes"]), ""
    if not (folder.path / CHECKPOINT).exists():
        minutes = seconds_an_image(settings, classes, side, compute, ranks=ranks) * settings.images / 60
        estimate = f", about {minutes:.1f} minutes, {memory_in_words(choose_device(compute))}"
        estimate += f" in each of {ranks.count} processes" if ranks.count > 1 else ""
    log.info(
        "Diffusion: training on %d images of %d real pairs%s (%d x %d, %d classes), on %s%s",
        settings.images,
        len(pairs),
        f" and {len(unlabelled)} images without masks" if unlabelled is not None else "",
        side,
        side,
        classes,
        describe_device(choose_device(compute)),
        estimate,
    )


def _fresh_generator(settings: DenoiserSettings, classes: int, device: torch.device) -> Generator:
    with shared_random_state(settings.seed):
        generator = Generator(settings.model, classes)
    generator.denoiser.to(device).to(memory_format=memory_format(device))
    return generator


def _tell(training: Training, seconds: float, best: BestWeights) -> None:
    """Log the outcome: how long it took, and the error at the looks, where held-out pairs are labelled."""
    looked = [row["val_error"] for row in training.history if "val_error" in row]
    errors = f", val error {looked[-1]:.3f}, least {-best.score:.3f} at step {best.step}" if best.step else ""
    images = training.steps * training.batch_size
    log.info("Diffusion: %d images in %.1f minutes%s", images, seconds / 60, errors)


def seconds_an_image(
    settings: DenoiserSettings,
    classes: int,
    side: int,
    compute: ComputeSettings,
    steps: int = 2,
    ranks: Ranks = ALONE,
) -> float:
    """Return how long training takes here for each image, from a few steps on noise; looks and `compile` are left out.

    Args:
        settings: What would be trained and how.
        classes: Number of classes.
        side: Side of a tile in pixels.
        compute: Where.
        steps: Steps that are timed, after one that is not.
        ranks: The processes that do it at the same time, each its rows of a batch; adding gradients up is left out.

    Raises:
        SatSynthError: The tile size does not fit the network, or memory runs out.
    """
    check_size(settings.model.network, side)
    device = choose_device(compute)
    generator = _fresh_generator(settings, classes, device)
    if settings.gradient_checkpointing:
        cast(StemUNet, generator.denoiser.network).unet.enable_gradient_checkpointing()
    optimizer = optimizer_for(generator.denoiser, settings)
    step_loss, rows = (
        denoising_step(generator, settings, device, compute, ranks=ranks),
        settings.batch_size // ranks.count,
    )
    with memory_errors(MEMORY):
        return seconds_on_noise(optimizer, step_loss, rows, side, device, steps) / ranks.count


def seconds_on_noise(
    optimizer: torch.optim.Optimizer,
    step_loss: StepLoss,
    batch_size: int,
    side: int,
    device: torch.device,
    steps: int,
) -> float:
    """Return how long steps of an optimizer take for each image, on images of noise.

    Args:
        optimizer: The optimizer.
        step_loss: As in `satsynth.training.loop.Training`.
        batch_size: Images a step.
        side: Their side in pixels.
        device: Where.
        steps: Steps that are timed, after one that is not.
    """
    images = torch.rand((batch_size, 3, side, side), generator=seeded(0, device=device), device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    masks = torch.zeros((batch_size, side, side), dtype=torch.int64, device=device)

    def one(step: int) -> None:
        for loss, _ in step_loss(images, masks, step):
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return seconds_a_step(one, device, steps) / batch_size
