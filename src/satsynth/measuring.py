"""Which pairs of stores are measured, their images, masks and features, and the measures of fidelity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from satsynth.analysis import imagenet
from satsynth.analysis.fidelity import remembered_measures
from satsynth.analysis.measures.inputs import Lazy, MeasureInputs
from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.detectable import detectable
from satsynth.pairs.cache import decoded
from satsynth.pairs.required import comparable_rows
from satsynth.pairs.store import PairStore
from satsynth.segmentation.grid import confusion_table, training_table
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.trainings import FinishedTraining
from satsynth.training import imagenet as imagenet_weights
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests, require_parent
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST, atomic, digest_of
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.units import Report, Unit, run_units
from satsynth.work.workspace import Workspace

SPLITS = ("train", "val", "test")
SYNTHETIC = "synthetic"
MOST_IMAGES = 5000
FEATURES_VERSION = 1
# What decides which pairs are measured.
SELECTION = {"images": MOST_IMAGES}


def evenly(number: int, most: int) -> np.ndarray:
    """Return at most ``most`` numbers below ``number``, evenly spread."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(int)


def chosen_rows(store: PairStore, split: str) -> np.ndarray:
    """Return the pairs of a split that are measured: comparable with training tiles, and not too many.

    Raises:
        SatSynthError: There are none.
    """
    rows = np.arange(store.count(split)) if split == SYNTHETIC else comparable_rows(store, split)
    if not len(rows):
        raise SatSynthError(
            f"No tile of the split '{split}' in {store.path} passes `tiling.keep`.", "Loosen `tiling.keep`."
        )
    return rows[evenly(len(rows), MOST_IMAGES)]


def images_of(store: PairStore, split: str, workspace: Workspace) -> np.ndarray:
    """Return the measured images of a split, ``(N, H, W, 3)`` uint8."""
    return decoded(store, split, workspace.work).images[chosen_rows(store, split)]


def masks_of(store: PairStore, split: str, workspace: Workspace) -> np.ndarray:
    """Return the measured masks of a split, ``(N, H, W)`` uint8."""
    return decoded(store, split, workspace.work).masks[chosen_rows(store, split)]


@dataclass(frozen=True)
class FeatureSet:
    """Features of the measured images of a split in a network, computed once.

    They are remembered by store, split and network, not by measure: a new measure does not run the network again, and
    new synthetic pairs leave the features of real pairs as they are.

    Args:
        store: The pairs.
        name: The store's name in the catalog.
        split: The split.
        judge: The network; None takes the ImageNet network.
    """

    store: PairStore
    name: str
    split: str
    judge: SavedNetwork | None

    def step(self, compute: ComputeSettings) -> Step:
        """Return what identifies the features."""
        from satsynth.training.device import arithmetic

        settings = {"split": self.split, "images": MOST_IMAGES, **arithmetic(compute)}
        store = digests(**{self.name: self.store})
        if self.judge is None:
            return Step(
                "imagenet_features", imagenet.VERSION, {**store, "weights": imagenet_weights.weights_digest()}, settings
            )
        return Step("features", FEATURES_VERSION, {**store, **digests(judge=self.judge)}, settings)

    def load(self, compute: ComputeSettings, workspace: Workspace) -> np.ndarray:
        """Return them, ``(N, F)`` float32."""

        def work(folder: WorkFolder) -> None:
            features = self._compute(images_of(self.store, self.split, workspace), compute)
            with atomic(folder.result / "features.npy") as temporary, temporary.open("wb") as file:
                np.save(file, features)
            folder.finish({"kind": "features"}, ["features.npy"])

        return np.load(remembered(workspace, self.step(compute), work).result / "features.npy")

    def _compute(self, images: np.ndarray, compute: ComputeSettings) -> np.ndarray:
        if self.judge is None:
            file = imagenet_weights.weights_file()
            assert file is not None, "no measure that needs the weights is switched on without them"
            return imagenet.imagenet_features(images, imagenet_weights.encoder_state(file), compute)
        from satsynth.segmentation.features import image_features

        return image_features(self.judge, images, compute)


def keep_features(
    outcome: Path,
    features: FeatureSet,
    compute: ComputeSettings,
    workspace: Workspace,
    number: int | None,
    report: Report,
) -> None:
    """Compute features in their work folder, an independent unit of work.

    Args:
        outcome: The manifest of the finished work folder.
        features: Which.
        compute: Where.
        workspace: Where work is kept.
        number: Threads of the CPU for which they stand.
        report: Takes nothing.
    """
    from satsynth.training.device import threads

    with threads(number):
        features.load(compute, workspace)


def lazy_features(sets: Mapping[str, FeatureSet], compute: ComputeSettings, workspace: Workspace) -> Lazy:
    """Return features by name of the set; on Ray all are computed at a time, when the first are asked for."""

    def load(split: str) -> np.ndarray:
        if compute.engine == "ray":
            from satsynth.training.device import decided, placement

            kept, where, units = workspace.model_copy(update={"fresh": False}), decided(compute), []
            for features in sets.values():
                step = features.step(compute)
                arguments = (features, where, kept, step.settings["threads"])
                units.append(Unit(WorkFolder(workspace.work, step).result / MANIFEST, 1, arguments))
            run_units(keep_features, units, "Features", "sets", placement=placement(compute))
        return sets[split].load(compute, workspace)

    return Lazy(list(sets), load)


def measure_inputs(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    comparison: ComparisonSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> MeasureInputs:
    """Return the measured pairs of train, val, test and synthetic; nothing is read before a measure asks for it."""
    stores = {**dict.fromkeys(SPLITS, ("tiles", tiles)), SYNTHETIC: ("synthetic_pairs", synthetic_pairs)}
    scenes = {split: np.array(tiles.scenes(split))[chosen_rows(tiles, split)].tolist() for split in SPLITS}

    def features_by(network: SavedNetwork | None) -> Lazy:
        sets = {split: FeatureSet(store, name, split, network) for split, (name, store) in stores.items()}
        return lazy_features(sets, compute, workspace)

    return MeasureInputs(
        class_names=tuple(tiles.class_names),
        scenes={**scenes, SYNTHETIC: None},
        images=Lazy(list(stores), lambda split: images_of(stores[split][1], split, workspace)),
        masks=Lazy(list(stores), lambda split: masks_of(stores[split][1], split, workspace)),
        features=features_by(judge),
        imagenet=features_by(None),
        comparison=comparison,
        compute=compute,
    )


def measured_fidelity(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    comparison: ComparisonSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> pd.DataFrame:
    """Return the table of all measures of fidelity, computing only those that were not computed before.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: The network whose features are used.
        comparison: Which optional measures are switched on.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table ``set, measure, value, low, high``.

    Raises:
        AncestryError: The synthetic pairs or the judge were made from other tiles.
    """
    from satsynth.training.device import arithmetic

    require_ancestry(tiles, synthetic_pairs, judge)
    inputs = measure_inputs(tiles, synthetic_pairs, judge, comparison, compute, workspace)
    stores = digests(tiles=tiles, synthetic_pairs=synthetic_pairs)
    features = {**digests(judge=judge), "arithmetic": digest_of(arithmetic(compute))}
    weights = {"weights": imagenet_weights.weights_digest(), "arithmetic": features["arithmetic"]}
    return remembered_measures(inputs, stores, features, SELECTION, workspace, weights)


def require_ancestry(tiles: PairStore, synthetic_pairs: PairStore, judge: SavedNetwork | None = None) -> None:
    """Refuse synthetic pairs or a judge made from other tiles.

    Raises:
        AncestryError: One of them was.
    """
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", "kedro run --pipeline=sampling")
    if judge is not None:
        require_parent(judge, "judge", tiles, "tiles", "kedro run --pipeline=judge")


def detectable_difference(done: Sequence[FinishedTraining], seeds: int, scenes: int) -> str:
    """Return in a sentence which difference to R = 0 is the smallest that a grid can show.

    Args:
        done: Its trainings that are done.
        seeds: Its number of seeds.
        scenes: Number of test scenes with a label.
    """
    from satsynth.segmentation.metrics import class_iou

    return detectable(training_table(done), confusion_table(done), class_iou, seeds, scenes)
