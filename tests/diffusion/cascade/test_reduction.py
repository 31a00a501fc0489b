from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from satsynth.diffusion.cascade.reduction import condition, reduce_images, reduce_masks, reduced
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.codes import LabelCode
from satsynth.work.ignore import IGNORE_INDEX

CLASSES = 3


@given(seed=st.integers(0, 2**20), factor=st.sampled_from([2, 4]))
def test_the_most_frequent_class_is_kept_as_counted_by_hand(seed: int, factor: int) -> None:
    random = np.random.default_rng(seed)
    masks = random.choice([0, 1, 2, IGNORE_INDEX], (2, 8, 8))
    found = reduce_masks(torch.from_numpy(masks), factor, CLASSES).numpy()
    for b, i, j in np.ndindex(found.shape):
        cell = masks[b, i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
        counts = [(cell == value).sum() for value in (0, 1, 2, IGNORE_INDEX)]
        assert found[b, i, j] == (0, 1, 2, IGNORE_INDEX)[int(np.argmax(counts))]


def test_pairs_are_reduced_by_area() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    masks = random.integers(0, CLASSES, (3, 8, 8), dtype=np.uint8)
    small = list(reduced(DecodedPairs(images, masks), 2, CLASSES))
    means = images.reshape(3, 4, 2, 4, 2, 3).mean((2, 4))
    assert all(image.dtype == mask.dtype == np.uint8 for image, mask in small)
    assert np.abs(np.stack([image for image, _ in small]) - means).max() <= 0.51


def test_what_is_given_lies_where_it_was() -> None:
    """A condition that is reduced again is what it was made of: nothing is shifted, not even by half a pixel."""
    code = LabelCode("one_hot", CLASSES, 0.5)
    masks = torch.randint(0, CLASSES, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(-1, 1, 6)
    images = torch.stack([ramp.expand(6, 6), ramp[:, None].expand(6, 6), ramp.expand(6, 6).T])[None].repeat(2, 1, 1, 1)
    for factor in (2, 4):
        given = condition(images, masks, factor, code)
        assert given.shape == (2, 3 + CLASSES, 6 * factor, 6 * factor)
        assert torch.equal(reduce_masks(code.decode(given[:, 3:]), factor, CLASSES), masks)
        # Interpolation is exact on a ramp, but for the borders, beyond which there is nothing.
        again = reduce_images(given[:, :3], factor)
        assert torch.allclose(again[..., 1:-1, 1:-1], images[..., 1:-1, 1:-1], atol=1e-6)


def test_what_is_ignored_is_given_as_unknown() -> None:
    code = LabelCode("bits", CLASSES, 0.5)
    given = condition(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), IGNORE_INDEX), 2, code)
    assert not given[:, 3:].any()
