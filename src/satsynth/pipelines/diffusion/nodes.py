"""Training the generator."""

from __future__ import annotations

import logging

import numpy as np

from satsynth import tracking
from satsynth.analysis.report.gallery import contact_sheet
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def train_joint_diffusion(
    tiles: PairStore, diffusion: DiffusionSettings, compute: ComputeSettings, workspace: Workspace
) -> SavedGenerator:
    """Train one diffusion model on the joint distribution of real training images and masks.

    Args:
        tiles: Real pairs; the split `train` is used.
        diffusion: What to train and how.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The `generator`.
    """
    from satsynth.diffusion.training import CHECKPOINT, RESULT_VERSION, seconds_an_image, train_generator
    from satsynth.training.device import choose_device, describe_device

    settings = {**diffusion.model_dump(mode="json"), "precision": compute.precision}
    params, seen = tracking.flat(settings), tracking.data_inputs(tiles=tiles)

    def train(folder: WorkFolder) -> None:
        estimate = ""
        # A continued training says itself how far it is.
        if not (folder.path / CHECKPOINT).exists():
            seconds = seconds_an_image(diffusion, len(tiles.class_names), tiles.tile_size, compute)
            estimate = f", about {seconds * diffusion.images / 60:.1f} minutes"
        log.info(
            "Diffusion: trained on %d images of %d real pairs (%d x %d, %d classes), on %s%s",
            diffusion.images,
            tiles.count("train"),
            tiles.tile_size,
            tiles.tile_size,
            len(tiles.class_names),
            describe_device(choose_device(compute)),
            estimate,
        )
        with tracking.current().child("diffusion", params, folder, seen) as child:
            pairs, val = (decoded(tiles, split, workspace.work) for split in ("train", "val"))

            def show(step: int, images: np.ndarray, masks: np.ndarray) -> None:
                child.image(step, "drawn", contact_sheet(list(zip(images, masks, strict=True)), tiles.colors, 4))

            train_generator(folder, pairs, val, tiles.training_origin(), diffusion, compute, child.metrics, show)

    done = remembered(workspace, Step("diffusion", RESULT_VERSION, digests(tiles=tiles), settings), train)
    if done.found:
        log.info("Diffusion: reused, trained before with the same settings on the same tiles")
        tracking.current().reused("diffusion", params, done.folder, {}, seen)
    return SavedGenerator(done.result)
