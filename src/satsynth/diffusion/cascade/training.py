"""Training of a cascade: the model of small pairs, then the enlarger, each a training that can be interrupted."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.diffusion.cascade.enlarging import Enlargement, train_enlarger
from satsynth.diffusion.cascade.reduction import reduced
from satsynth.diffusion.cascade.saved import ENLARGER, HISTORY, SMALL
from satsynth.diffusion.cascade.settings import CascadeSettings
from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.training import (
    train_denoiser,
)
from satsynth.generation.families import Report
from satsynth.pairs.cache import IMAGES, MASKS, DecodedPairs, write_decoded
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import read_json, write_json
from satsynth.work.finished import read_timing, write_timing
from satsynth.work.folder import Step, WorkFolder, work_folder

VERSION = 1
log = logging.getLogger(__name__)


class Renamed:
    """A report in which the metrics of the enlarger have names of their own.

    Args:
        report: Takes them.
    """

    def __init__(self, report: Report) -> None:
        """Keep it."""
        self._report = report

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Send metrics on."""
        self._report.metrics(step, {f"enlarger_{name}": value for name, value in values.items()})


def train_cascade(
    folder: WorkFolder,
    pairs: DecodedPairs,
    val: DecodedPairs,
    origin: Mapping[str, Any],
    settings: CascadeSettings,
    compute: ComputeSettings,
    report: Report,
    unlabelled: DecodedPairs | None = None,
) -> None:
    """Train both models to the end of their budgets, continuing what the folder holds, and finish the folder.

    Args:
        folder: Work folder; each model has one of its own within it.
        pairs: Real training pairs.
        val: Real pairs of held-out scenes, used only to measure errors.
        origin: ``family``, ``classes``, ``tile_size`` and ``scenes`` for the manifest.
        settings: What to train and how.
        compute: Where.
        report: Takes metrics; those of the enlarger begin with ``enlarger_``.
        unlabelled: Images without masks, from which only the image channels learn.

    Raises:
        SatSynthError: Sizes do not fit, or the loss is not finite.
    """
    factor, classes, side = settings.factor, len(origin["classes"]), int(origin["tile_size"])
    # Nothing in these folders is older than the one that they lie in, which is empty where a run begins anew.
    with work_folder(folder.path, Step("small", VERSION, {}, settings.small.training_identity()), "") as small:
        if not small.finished:
            log.info(
                "Cascade: first pairs of %d x %d, then their enlargement to %d", side // factor, side // factor, side
            )
            sets = {"train": pairs, "val": val}
            if unlabelled is not None and settings.small.learns_from_images():
                sets["unlabelled"] = unlabelled
            few = {name: _kept(folder.path / name, of, factor, classes) for name, of in sets.items()}
            theirs = {**origin, "family": "diffusion", "tile_size": side // factor}
            train_denoiser(
                small, few["train"], few["val"], theirs, settings.small, compute, report, few.get("unlabelled")
            )
    identity = {"factor": factor, **settings.enlarger.training_identity()}
    with work_folder(folder.path, Step("enlarger", VERSION, {}, identity), "") as large:
        if not large.finished:
            alone = unlabelled if settings.enlarger.learns_from_images() else None
            task = Enlargement(pairs, val, classes, factor, settings.enlarger, alone)
            train_enlarger(large, task, compute, Renamed(report))
    for stage, name in ((small, SMALL), (large, ENLARGER)):
        shutil.copyfile(stage.result / AVERAGED, folder.result / name)
    stages = {"small": small.result, "enlarger": large.result}
    write_json(folder.result / HISTORY, {name: read_json(path / "history.json") for name, path in stages.items()})
    write_timing(folder.result, sum(read_timing(path) for path in stages.values()))
    manifest = {
        "kind": "generator",
        "factor": factor,
        "small": settings.small.model.model_dump(mode="json"),
        "enlarger": settings.enlarger.model.model_dump(mode="json"),
        "images": small.manifest()["images"] + large.manifest()["images"],
        **origin,
    }
    folder.finish(manifest, [SMALL, ENLARGER, HISTORY])
    folder.forget_helpers()


def _kept(place: Path, pairs: DecodedPairs, factor: int, classes: int) -> DecodedPairs:
    """Return reduced pairs as arrays in files, written anew: an interrupted write cannot be told from a whole one."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_decoded(place, len(pairs), pairs.images.shape[1] // factor, reduced(pairs, factor, classes))
    return DecodedPairs(*(np.load(place / name, mmap_mode="r") for name in (IMAGES, MASKS)))
