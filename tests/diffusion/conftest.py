import numpy as np
import pytest
import torch
from losses_made import BATCH, CLASSES, SIDE

import tiny
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings, NoiseSettings
from satsynth.diffusion.training import train_denoiser
from satsynth.generation.families import Silence
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from threads import one_thread, single_thread  # noqa: F401  # a fixture is used by being imported


@pytest.fixture(scope="session")
def training_pairs():
    """Images whose brightness tells the class, with some ignored pixels."""
    random = np.random.default_rng(0)
    masks = random.integers(0, CLASSES, (10, 4, 4), np.uint8).repeat(8, 1).repeat(8, 2)
    images = (masks[..., None] * 60 + random.integers(0, 30, (10, 32, 32, 3))).astype(np.uint8)
    masks[:, :5, :7] = IGNORE_INDEX
    return DecodedPairs(images, masks)


@pytest.fixture(scope="session")
def train_tiny(training_pairs):
    """Return a function that trains a tiny generator in a work folder under a root."""

    def train(
        root,
        images=48,
        seed=0,
        on_metrics=lambda step, metrics: None,
        checkpoint_seconds=1e-9,
        only=10,
        model=tiny.MODEL,
        unlabelled=None,
        processes=1,
        **more,
    ):
        settings = DiffusionSettings(
            model=model,
            noise=NoiseSettings(mean=0.3, std=1.3),
            images=images,
            batch_size=2,
            optimizer="adamw",
            learning_rate=5e-3,
            seed=seed,
            drawing=DiffusionDrawing(sampler="dpm_solver_2m", steps=18, sigma_max=80.0),
            **more,
        )
        origin = {
            "family": "diffusion",
            "classes": [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(CLASSES)],
            "tile_size": 32,
            "scenes": ["a", "b"],
        }
        compute = ComputeSettings(device="cpu", checkpoint_seconds=checkpoint_seconds, processes=processes)
        step = Step("diffusion", 1, {"tiles": "0"}, settings.model_dump(mode="json"))
        seen = training_pairs.take(np.arange(only))
        with work_folder(root, step) as folder, single_thread():
            held_out = training_pairs.take(np.arange(7, 10))
            report = Silence()
            report.metrics = on_metrics
            train_denoiser(folder, seen, held_out, origin, settings, compute, report, unlabelled)
        return SavedGenerator(folder.result)

    return train


@pytest.fixture(scope="session")
def trained(train_tiny, tmp_path_factory):
    """A tiny generator, trained without interruption."""
    return train_tiny(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def batch():
    """Images and masks, one of which is unknown, and one of which in part."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand((BATCH, 3, SIDE, SIDE), generator=random) * 2 - 1
    masks = torch.randint(0, CLASSES, (BATCH, SIDE, SIDE), generator=random)
    masks[1] = masks[4, :9] = IGNORE_INDEX
    return images, masks


@pytest.fixture
def random_generator():
    """A tiny generator with random weights, its last layer included, so that it gives more than zeros."""
    made = tiny.random_generator(CLASSES)
    made.denoiser.eval()
    return made
