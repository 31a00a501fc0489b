"""Training of a denoiser."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import torch

from satsynth.diffusion.averaged import averaged_training, optimizer_for, seconds_on_noise
from satsynth.diffusion.beforehand import check_size
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.network import StemUNet, memory_format
from satsynth.diffusion.saved import AVERAGED, HISTORY, WEIGHTS
from satsynth.diffusion.settings import DenoiserSettings
from satsynth.diffusion.starting import start_from
from satsynth.diffusion.starting_points import start_of
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
)
from satsynth.training.launching import in_ranks
from satsynth.training.loop import Training, train
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings
from satsynth.training.weights import save_weights
from satsynth.work.files import write_json
from satsynth.work.finished import write_timing
from satsynth.work.folder import WorkFolder

CHECKPOINT = "checkpoint.pt"
MEMORY = "Set the family's `micro_batch` (`diffusion.micro_batch`), or its `gradient_checkpointing: true`."
log = logging.getLogger(__name__)


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
    check_size(settings.model.network, int(origin["tile_size"]), settings.cuts)
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
    start = start_of(settings)
    if start:
        start_from(generator, settings.model, origin["classes"], start)
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
    check_size(settings.model.network, side, settings.cuts)
    device = choose_device(compute)
    generator = _fresh_generator(settings, classes, device)
    if settings.gradient_checkpointing:
        cast(StemUNet, generator.denoiser.network).unet.enable_gradient_checkpointing()
    optimizer = optimizer_for(generator.denoiser, settings)
    step_loss = denoising_step(generator, settings, device, compute, ranks=ranks)
    rows = settings.batch_size // ranks.count
    with memory_errors(MEMORY):
        return seconds_on_noise(optimizer, step_loss, rows, side, device, steps) / ranks.count
