from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.rivals.gan.settings import GanSettings
from satsynth.rivals.gan.step import AdversarialTraining, Networks, adam
from satsynth.rivals.gan.training import train_gan
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from threads import one_thread, single_thread  # noqa: F401  # a fixture is used by being imported
from tiny_gan import CLASSES, SETTINGS, SIDE, Metrics


@pytest.fixture(scope="session")
def two_colours() -> DecodedPairs:
    """Tiles with a straight border between two colours, each of which is a class; some pixels are ignored."""
    random = np.random.default_rng(0)
    masks = np.stack([np.tile(np.arange(SIDE) >= random.integers(1, SIDE), (SIDE, 1)) for _ in range(64)])
    masks = np.stack([np.rot90(mask, random.integers(4)) for mask in masks]).astype(np.uint8)
    images = np.array([[200, 60, 30], [20, 90, 180]], np.uint8)[masks]
    masks[:4, :2, :3] = IGNORE_INDEX
    return DecodedPairs(images, masks)


@pytest.fixture(scope="session")
def train_tiny(two_colours: DecodedPairs) -> Callable[..., SavedGenerator]:
    """Return a function that trains a tiny GAN in a work folder under a root."""

    def train(
        root: Path, settings: GanSettings = SETTINGS, report: Metrics | None = None, often: bool = True
    ) -> SavedGenerator:
        origin: dict[str, Any] = {
            "family": "gan",
            "classes": [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(CLASSES)],
            "tile_size": SIDE,
            "scenes": ["a"],
        }
        compute = ComputeSettings(device="cpu", checkpoint_seconds=1e-9 if often else 60)
        step = Step("gan", 1, {"tiles": "0"}, settings.model_dump(mode="json"))
        with work_folder(root, step) as folder, single_thread():
            train_gan(
                folder, two_colours, two_colours.take(np.arange(9)), origin, settings, compute, report or Metrics()
            )
        return SavedGenerator(folder.result)

    return train


@pytest.fixture(scope="session")
def trained(train_tiny: Callable[..., SavedGenerator], tmp_path_factory: pytest.TempPathFactory) -> SavedGenerator:
    """A tiny GAN, trained without interruption."""
    return train_tiny(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def course() -> AdversarialTraining:
    """A training of a tiny GAN that has not begun."""
    torch.manual_seed(0)
    networks = Networks(SETTINGS, SIDE, CLASSES)
    optimizers = {name: adam(getattr(networks, name), 1e-3) for name in ("generator", "of_images", "of_pairs")}
    return AdversarialTraining(
        title="Made",
        network=networks,
        steps=10,
        batch_size=4,
        parts={},
        networks=networks,
        optimizers=optimizers,
        settings=SETTINGS,
        classes=CLASSES,
        device=torch.device("cpu"),
        compute=ComputeSettings(device="cpu"),
    )
