"""What the benchmarks share: tiles, parameters, and measures of how real a set of pairs is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from satsynth.analysis.measures.feature_space import standardise
from satsynth.analysis.measures.kernel_distance import bandwidth_of, kernel_distance
from satsynth.analysis.measures.mask_statistics import mask_statistics, within_range
from satsynth.analysis.measures.spectrum_distance import radial_spectrum, spectrum_distance
from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.store import PairStore
from satsynth.pairs.stream import PairStream
from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits
from satsynth.segmentation.features import image_features
from satsynth.segmentation.saved import SavedNetwork, training_row
from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
from satsynth.segmentation.training import TrainingTask, train_network
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
VERSION = 1
NETWORK = SegmentationNetwork(
    architecture="fpn",
    encoder="tu-mobilenetv3_small_100",
    options={"decoder_pyramid_channels": 64, "decoder_segmentation_channels": 64},
)
# The judge is trained for longer than the small networks of a first run: its features measure all the others.
JUDGE = TrainingSettings(images=16_000, batch_size=16, learning_rate=4e-3, evaluations=4)
TRAINING = TrainingSettings(images=8_000, batch_size=16, learning_rate=4e-3, evaluations=2)


def tiles_of(dataset: str, raw: str | None) -> PairStore:
    """Return the newest tiles of a data set, made by the pipelines if there are none."""
    folder = PROJECT / "data" / "03_primary" / "base" / dataset / "tiles"
    if not folder.exists():
        given = f"dataset={dataset}" + (f",raw={raw}" if raw else "")
        for pipeline in ("ingestion", "tiling"):
            command = [sys.executable, "-m", "kedro", "run", f"--pipeline={pipeline}", f"--params={given}"]
            subprocess.run(command, cwd=PROJECT, check=True)
    return PairStore(max(folder.glob("*/tiles")))


def parameters() -> Any:
    """Return those parameters of `conf/base` that need no data set."""
    loaded = {
        name: OmegaConf.load(PROJECT / "conf" / "base" / f"{file}.yml")[name]
        for name, file in (
            ("compute", "parameters"),
            ("diffusion", "parameters_diffusion"),
        )
    }
    return OmegaConf.create(loaded)


class Measures:
    """Measures sets of pairs against real training pairs.

    Args:
        tiles: Real pairs.
        compute: Where.
    """

    def __init__(self, tiles: PairStore, compute: ComputeSettings) -> None:
        """Train the judge, or find it trained."""
        self.tiles, self.compute = tiles, compute
        self.run = Workspace(project=str(PROJECT))
        self.train = decoded(tiles, "train", self.run.work)
        folder = self._trained("judge", JUDGE, [self.train], 0, {})
        self.judge, self.judge_row = SavedNetwork(folder.result), training_row(folder)
        self.reference = image_features(self.judge, np.asarray(self.train.images), compute)
        self.masks = mask_statistics(self.train.masks, tiles.class_names)

    def distance(self, images: np.ndarray) -> float:
        """Return the kernel distance of some images to the real training images."""
        reference, found = standardise(self.reference, image_features(self.judge, images, self.compute))
        return kernel_distance(reference, found, bandwidth_of(reference))

    def of(self, images: np.ndarray, masks: np.ndarray, seeds: Sequence[int]) -> dict[str, Any]:
        """Measure synthetic pairs.

        Args:
            images: ``(N, H, W, 3)`` uint8.
            masks: ``(N, H, W)`` uint8.
            seeds: Seeds of the networks trained on them alone and tested on real scenes; none leaves mIoU out.
        """
        statistics = mask_statistics(masks, self.tiles.class_names)
        identity = {"pairs": pairs_digest(images, masks)}
        return {
            "kernel_distance": self.distance(images),
            "masks": statistics,
            "masks_like": f"{sum(within_range(statistics, self.masks).values())} of {len(statistics)}",
            "spectrum_distance": spectrum_distance(
                radial_spectrum(np.asarray(self.train.images)), radial_spectrum(images)
            ),
            **(self._miou("synthetic", [DecodedPairs(images, masks)], identity, seeds) if seeds else {}),
        }

    def _miou(self, kind: str, sources: list[DecodedPairs], identity: dict[str, Any], seeds: Sequence[int]) -> Any:
        rows = [training_row(self._trained(kind, TRAINING, sources, seed, identity)) for seed in seeds]
        names = ["miou", *(f"iou_{name}" for name in self.tiles.class_names)]
        return {name: float(np.mean([row[name] for row in rows])) for name in names}

    def _trained(
        self, kind: str, training: TrainingSettings, sources: list[DecodedPairs], seed: int, identity: dict[str, Any]
    ) -> WorkFolder:
        work = self.run.work
        val, test = (HeldOut(decoded(self.tiles, split, work), self.tiles.scenes(split)) for split in ("val", "test"))
        task = TrainingTask(
            title=f"{kind} {seed}",
            network=NETWORK,
            stream=PairStream(sources, seed),
            images=training.budget,
            seed=seed,
            settings=training,
            columns={"kind": kind, "seed": seed},
            keep_weights=kind == "judge",
        )

        def train(folder: WorkFolder) -> None:
            train_network(folder, task, HeldOutSplits(val, test, self.tiles.class_names), self.compute)

        settings = {"kind": kind, "seed": seed, "training": training.model_dump(mode="json"), **identity}
        step = Step("benchmark", VERSION, digests(tiles=self.tiles), settings)
        return remembered(self.run, step, train).folder


def pairs_digest(images: np.ndarray, masks: np.ndarray) -> str:
    """Return the SHA-256 of a set of pairs."""
    return hashlib.sha256(images.tobytes() + masks.tobytes()).hexdigest()
