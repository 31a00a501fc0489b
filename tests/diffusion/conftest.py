import numpy as np
import pytest
import torch

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.settings import DiffusionSettings, GeneratorSettings, NetworkSettings
from satsynth.diffusion.training import train_generator
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from threads import one_thread, single_thread  # noqa: F401  # a fixture is used by being imported

CLASSES = 4


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

    def train(root, images=48, seed=0, on_metrics=lambda step, metrics: None, checkpoint_seconds=1e-9, only=10, **more):
        network = NetworkSettings(stem=8, widths=(16, 32), layers=1)
        settings = DiffusionSettings(
            model=GeneratorSettings(network=network), images=images, batch_size=2, learning_rate=5e-3, seed=seed, **more
        )
        origin = {
            "classes": [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(CLASSES)],
            "tile_size": 32,
            "scenes": ["a", "b"],
        }
        compute = ComputeSettings(device="cpu", checkpoint_seconds=checkpoint_seconds)
        step = Step("diffusion", 1, {"tiles": "0"}, settings.model_dump(mode="json"))
        seen = training_pairs.take(np.arange(only))
        with work_folder(root, step) as folder, single_thread():
            held_out = training_pairs.take(np.arange(7, 10))
            return train_generator(folder, seen, held_out, origin, settings, compute, on_metrics)

    return train


@pytest.fixture(scope="session")
def trained(train_tiny, tmp_path_factory):
    """A tiny generator, trained without interruption."""
    return train_tiny(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def random_generator():
    """A tiny generator with random weights, its last layer included, so that it gives more than zeros."""
    torch.manual_seed(3)
    made = Generator(GeneratorSettings(network=NetworkSettings(stem=8, widths=(16, 32))), CLASSES)
    torch.nn.init.normal_(made.denoiser.network.unet.conv_out.weight, std=0.1)
    made.denoiser.eval()
    return made
