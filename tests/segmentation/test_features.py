import numpy as np
import pytest
import torch

from satsynth.segmentation.features import image_features
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.training import seconds_an_image
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError

COMPUTE = ComputeSettings(device="cpu")


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_features_do_not_depend_on_the_batch_size(trained_small, striped_pairs, batch_size):
    saved, images = SavedNetwork(trained_small[0].result), striped_pairs(5, 9).images
    together = image_features(saved, images, COMPUTE)
    assert together.dtype == np.float32
    assert together.shape[0] == 5
    assert len(np.unique(together, axis=0)) == 5
    apart = image_features(saved, images, COMPUTE, batch_size)
    np.testing.assert_allclose(apart, together, rtol=1e-3, atol=1e-4)


def test_only_blocks_that_share_it_draw_from_the_random_state(trained_small, striped_pairs):
    saved, before = SavedNetwork(trained_small[0].result), torch.get_rng_state()
    image_features(saved, striped_pairs(2, 9).images, COMPUTE)
    seconds_an_image(saved.network, 3, 32, 2, COMPUTE)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_without_a_network(tmp_path):
    with pytest.raises(SatSynthError, match="no finished segmentation network") as caught:
        SavedNetwork(tmp_path)
    assert "--pipeline=judge" in caught.value.remedy
