"""Training the GAN."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch

from satsynth.generation.drawers import Request
from satsynth.generation.families import Report
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import to_tensors, training_stream
from satsynth.rivals.gan.drawing import GanDrawer
from satsynth.rivals.gan.family import AVERAGED, HISTORY
from satsynth.rivals.gan.generator import GanGenerator
from satsynth.rivals.gan.settings import GanSettings
from satsynth.rivals.gan.step import AdversarialTraining, Networks, adam
from satsynth.training.device import autocast, choose_device, describe_device, memory_errors, seconds_a_step
from satsynth.training.ema import MovingAverage
from satsynth.training.loop import look_points, train
from satsynth.training.seeds import generator as seeded
from satsynth.training.seeds import shared_random_state
from satsynth.training.settings import ComputeSettings
from satsynth.training.weights import save_weights
from satsynth.work.files import write_json
from satsynth.work.finished import write_timing
from satsynth.work.folder import WorkFolder

CHECKPOINT = "checkpoint.pt"
MEMORY = "Lower `gan.batch_size`."
# Pairs that a look draws and scores, and the seed of those that are drawn.
DRAWN, SCORED, SEED = 8, 32, 20_240_617
# Steps that are timed, at most.
MOST_TIMED = 32
log = logging.getLogger(__name__)


def train_gan(
    folder: WorkFolder,
    pairs: DecodedPairs,
    val: DecodedPairs,
    origin: Mapping[str, Any],
    settings: GanSettings,
    compute: ComputeSettings,
    report: Report,
    unlabelled: DecodedPairs | None = None,
) -> None:
    """Train the GAN to the end of its budget, continuing what the folder holds, and finish the folder.

    Args:
        folder: Work folder.
        pairs: Real training pairs.
        val: Real pairs of held-out scenes, used only to measure.
        origin: ``family``, ``classes``, ``tile_size`` and ``scenes`` for the manifest.
        settings: What to train and how.
        compute: Where.
        report: Takes metrics as training goes on, and at each look pairs drawn from fixed seeds.
        unlabelled: Images without masks, from which the generator learns through the image discriminator only.

    Raises:
        SatSynthError: The tile size does not fit the networks, or the loss is not finite.
    """
    side, classes, device = int(origin["tile_size"]), len(origin["classes"]), choose_device(compute)
    networks, optimizers = _fresh(settings, side, classes, device)
    generator, average = networks.generator, MovingAverage(networks.generator, settings.ema)
    steps = max(1, settings.images // settings.batch_size)
    looks = look_points(0, steps, settings.looks)
    log.info(
        "GAN: training on %d images of %d real pairs%s (%d x %d, %d classes), on %s",
        settings.images,
        len(pairs),
        f" and {len(unlabelled)} images without masks" if unlabelled is not None else "",
        side,
        side,
        classes,
        describe_device(device),
    )

    def after_step(done: int) -> Mapping[str, float]:
        average.update_parameters(generator)
        if done not in looks:
            return {}
        drawer = GanDrawer(cast(GanGenerator, average.module), settings.drawing, device, compute)
        drawn = DecodedPairs(*drawer.draw(range(SCORED), Request(SEED)))
        report.pictures(done, drawn.images[:DRAWN], drawn.masks[:DRAWN])
        sets = {"train_score": pairs, "val_score": val, "drawn_score": drawn}
        return {name: mean_score(networks, of, device, compute) for name, of in sets.items()}

    training = AdversarialTraining(
        title="GAN",
        network=networks,
        steps=steps,
        batch_size=settings.batch_size,
        parts={"networks": networks, **optimizers, "average": average},
        after_step=after_step,
        networks=networks,
        optimizers=optimizers,
        settings=settings,
        classes=classes,
        device=device,
        compute=compute,
    )
    stream = training_stream(pairs, unlabelled, settings.unlabelled_share, settings.seed)
    with memory_errors(MEMORY):
        seconds = train(training, stream, folder.path / CHECKPOINT, device, compute, report.metrics)
    log.info("GAN: %d images in %.1f minutes", steps * settings.batch_size, seconds / 60)
    save_weights(folder.result / AVERAGED, average.module.state_dict())
    write_json(folder.result / HISTORY, training.history)
    write_timing(folder.result, seconds)
    manifest = {
        "kind": "generator",
        "model": settings.network.model_dump(mode="json"),
        "images": steps * settings.batch_size,
        **origin,
    }
    folder.finish(manifest, [AVERAGED, HISTORY])
    folder.forget_helpers()


def _fresh(
    settings: GanSettings, side: int, classes: int, device: torch.device
) -> tuple[Networks, dict[str, torch.optim.Optimizer]]:
    """Return the networks and their optimizers before the first step."""
    with shared_random_state(settings.seed):
        networks = Networks(settings, side, classes)
    networks.to(device)
    rate = settings.learning_rate
    path_every = settings.path_every if settings.path_weight else None
    gradient_every = settings.gradient_every if settings.gradient_weight else None
    return networks, {
        "generator": adam(networks.generator, rate, path_every),
        "of_images": adam(networks.of_images, rate, gradient_every),
        "of_pairs": adam(networks.of_pairs, rate),
    }


def seconds_an_image(settings: GanSettings, classes: int, side: int, compute: ComputeSettings) -> float:
    """Return how long training takes here for each image, from steps on noise; looks are left out.

    As many steps are timed as it takes until each penalty has had its turn.

    Args:
        settings: What would be trained and how.
        classes: Number of classes.
        side: Side of a tile in pixels.
        compute: Where.

    Raises:
        SatSynthError: The tile size does not fit the networks, or memory runs out.
    """
    device = choose_device(compute)
    networks, optimizers = _fresh(settings, side, classes, device)
    training = AdversarialTraining(
        title="GAN",
        network=networks,
        steps=MOST_TIMED,
        batch_size=settings.batch_size,
        parts={},
        networks=networks,
        optimizers=optimizers,
        settings=settings,
        classes=classes,
        device=device,
        compute=compute,
    )
    random = seeded(settings.seed, device=device)
    images = torch.rand((settings.batch_size, 3, side, side), generator=random, device=device)
    masks = torch.zeros((settings.batch_size, side, side), dtype=torch.int64, device=device)
    steps = min(MOST_TIMED, math.lcm(settings.gradient_every, settings.path_every))
    with memory_errors(MEMORY):
        return seconds_a_step(lambda step: training.step(images, masks, step), device, steps) / settings.batch_size


@torch.inference_mode()
def mean_score(networks: Networks, pairs: DecodedPairs, device: torch.device, compute: ComputeSettings) -> float:
    """Return the image discriminator's mean score of up to 32 images, evenly spread.

    Where it gives held-out images the score of drawn ones, it has learned the training images by heart.
    """
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), SCORED)).round().astype(int)
    images = torch.stack([to_tensors(*pairs[int(i)])[0] for i in chosen]).to(device)
    with autocast(device, compute):
        return float(networks.of_images(images).float().mean())
