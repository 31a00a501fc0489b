import numpy as np
import pytest

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream
from threads import one_thread  # noqa: F401  # a fixture is used by being imported


@pytest.fixture(scope="module")
def stream():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (7, 16, 16, 3), np.uint8)
    masks = random.integers(0, 2, (7, 16, 16), np.uint8)
    return PairStream([DecodedPairs(images, masks)], seed=4)
