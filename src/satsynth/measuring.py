"""Which pairs of stores are measured, their images, masks and features, and the measures of fidelity."""

from __future__ import annotations

from collections.abc import Sequence

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
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests, require_parent
from satsynth.work.errors import SatSynthError
from satsynth.work.files import atomic, digest_of
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
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


def features_of(
    store: PairStore, name: str, split: str, judge: SavedNetwork, compute: ComputeSettings, workspace: Workspace
) -> np.ndarray:
    """Return the judge's features ``(N, F)`` float32 of the measured images of a split, computed once.

    They are remembered by store, split and judge, not by measure: a new measure does not run the judge again, and new
    synthetic pairs leave the features of real pairs as they are.
    """
    from satsynth.segmentation.features import image_features
    from satsynth.training.device import arithmetic

    def work(folder: WorkFolder) -> None:
        features = image_features(judge, images_of(store, split, workspace), compute)
        with atomic(folder.result / "features.npy") as temporary, temporary.open("wb") as file:
            np.save(file, features)
        folder.finish({"kind": "features"}, ["features.npy"])

    parents = {**digests(**{name: store}), **digests(judge=judge)}
    step = Step("features", FEATURES_VERSION, parents, {"split": split, "images": MOST_IMAGES, **arithmetic(compute)})
    return np.load(remembered(workspace, step, work).result / "features.npy")


def imagenet_features_of(
    store: PairStore, name: str, split: str, compute: ComputeSettings, workspace: Workspace
) -> np.ndarray:
    """Return features ``(N, F)`` float32 of the measured images of a split in the ImageNet network, computed once."""
    from satsynth.training.device import arithmetic

    file = imagenet.weights_file()
    assert file is not None, "no measure that needs the weights is switched on without them"

    def work(folder: WorkFolder) -> None:
        state = imagenet.encoder_state(file)
        features = imagenet.imagenet_features(images_of(store, split, workspace), state, compute)
        with atomic(folder.result / "features.npy") as temporary, temporary.open("wb") as target:
            np.save(target, features)
        folder.finish({"kind": "features"}, ["features.npy"])

    parents = {**digests(**{name: store}), "weights": imagenet.weights_digest()}
    settings = {"split": split, "images": MOST_IMAGES, **arithmetic(compute)}
    step = Step("imagenet_features", imagenet.VERSION, parents, settings)
    return np.load(remembered(workspace, step, work).result / "features.npy")


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
    return MeasureInputs(
        class_names=tuple(tiles.class_names),
        scenes={**scenes, SYNTHETIC: None},
        images=Lazy(list(stores), lambda split: images_of(stores[split][1], split, workspace)),
        masks=Lazy(list(stores), lambda split: masks_of(stores[split][1], split, workspace)),
        features=Lazy(
            list(stores),
            lambda split: features_of(stores[split][1], stores[split][0], split, judge, compute, workspace),
        ),
        imagenet=Lazy(
            list(stores),
            lambda split: imagenet_features_of(stores[split][1], stores[split][0], split, compute, workspace),
        ),
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
    weights = {"weights": imagenet.weights_digest(), "arithmetic": features["arithmetic"]}
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
