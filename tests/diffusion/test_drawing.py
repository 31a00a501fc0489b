import numpy as np
import pytest
import torch
from pydantic import ValidationError

from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.settings import DiffusionDrawing
from satsynth.generation.drawers import Request
from satsynth.training.settings import ComputeSettings

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
DRAWING = DiffusionDrawing(sampler="dpm_solver_2m", steps=4, sigma_max=20.0, sigma_min=0.1)


def drawn(generator, numbers, seed=7):
    return JointDrawer(generator, 32, DRAWING, CPU, COMPUTE).draw(numbers, Request(seed))


def near(a, b):
    """Whether pairs are equal but for one grey level and hardly a label."""
    grey = np.abs(a[0].astype(int) - b[0].astype(int)).max()
    return grey <= 1 and np.mean(a[1] != b[1]) < 1e-3


def test_shapes_and_types(random_generator):
    images, masks = drawn(random_generator, range(3))
    assert images.shape == (3, 32, 32, 3)
    assert masks.shape == (3, 32, 32)
    assert images.dtype == masks.dtype == np.uint8
    assert masks.max() < 4
    assert images.std() > 5
    assert len(np.unique(masks)) > 1


def test_a_pair_does_not_depend_on_its_neighbours(random_generator):
    first, shifted = drawn(random_generator, range(0, 4)), drawn(random_generator, range(2, 6))
    for a, b in zip(first, shifted, strict=True):
        # The same batch size computes alike, wherever in the batch the pair stands.
        assert np.array_equal(a[2:], b[:2])
        assert not np.array_equal(a[:2], a[2:])


@pytest.mark.parametrize("numbers", [range(5, 6), range(4, 6), range(0, 9), range(5, 20)])
def test_a_pair_does_not_depend_on_the_batch_size(random_generator, numbers):
    alone = drawn(random_generator, range(5, 6))
    batch = drawn(random_generator, numbers)
    i = numbers.index(5)
    assert near((batch[0][i], batch[1][i]), (alone[0][0], alone[1][0]))


def test_another_seed_gives_other_pairs(random_generator):
    assert not near(drawn(random_generator, range(2)), drawn(random_generator, range(2), seed=8))


def test_levels_must_fall():
    with pytest.raises(ValidationError, match=r"`sigma_min` 2\.0 must be below `sigma_max` 1\.0"):
        DiffusionDrawing(sigma_min=2.0, sigma_max=1.0)
