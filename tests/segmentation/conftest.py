import numpy as np
import pytest

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream
from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits
from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
from satsynth.segmentation.training import TrainingTask, train_network
from satsynth.training.reporting import SILENCE
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from threads import one_thread, single_thread  # noqa: F401  # a fixture is used by being imported

CLASSES = 3


@pytest.fixture(scope="session")
def striped_pairs():
    """Return a function that makes pairs whose brightness tells the class, with some ignored pixels."""

    def make(number, seed):
        random = np.random.default_rng(seed)
        masks = random.integers(0, CLASSES, (number, 4, 4), np.uint8).repeat(8, 1).repeat(8, 2)
        images = (masks[..., None] * 80 + random.integers(0, 40, (number, 32, 32, 3))).astype(np.uint8)
        masks[:, :5, :7] = IGNORE_INDEX
        return DecodedPairs(images, masks)

    return make


@pytest.fixture(scope="session")
def small_network():
    """A network with dropout and drop path in a small encoder."""
    return SegmentationNetwork(
        architecture="fpn",
        encoder="tu-mobilenetv3_small_050",
        options={"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32, "decoder_dropout": 0.5},
    )


@pytest.fixture(scope="session")
def train_small(striped_pairs, small_network):
    """Return a function that trains a small network in a work folder under a root."""

    def train(
        root, seed=0, settings=None, sources=None, val=None, test=None, keep_weights=True, report=SILENCE, network=None
    ):
        settings = settings or TrainingSettings(images=40, batch_size=4, evaluations=3, learning_rate=1e-2)
        task = TrainingTask(
            title="small",
            network=network or small_network,
            stream=PairStream(sources or [striped_pairs(6, 0), striped_pairs(5, 1)], seed),
            images=settings.images,
            seed=seed,
            settings=settings,
            columns={"network": "small", "ratio": 0.5, "seed": seed},
            keep_weights=keep_weights,
        )
        held_out = HeldOutSplits(
            val=val or HeldOut(striped_pairs(4, 2), ["v"] * 4),
            test=test or HeldOut(striped_pairs(5, 3), ["a", "b", "a", "c", "b"]),
            class_names=("one", "two", "three"),
        )
        compute = ComputeSettings(device="cpu", checkpoint_seconds=1e-9)
        step = Step("segmentation", 1, {"tiles": "0"}, {"seed": seed})
        with work_folder(root, step) as folder, single_thread():
            return folder, train_network(folder, task, held_out, compute, report)

    return train


class Metrics:
    """A report that keeps the metrics."""

    def __init__(self):
        self.logged = []

    def metrics(self, step, values):
        self.logged.append((step, dict(values)))


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture(scope="session")
def trained_small(train_small, tmp_path_factory):
    """Folder and row of a small network, trained without interruption."""
    return train_small(tmp_path_factory.mktemp("small"))
