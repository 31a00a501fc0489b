from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from satsynth.pairs.augmentation import copy_paste, cut_mix
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.settings import AugmentationName
from satsynth.pairs.stream import PairStream, to_image
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 32


def flat(classes: list[int]) -> DecodedPairs:
    """Pairs of one class each; a pixel's grey value is ten times its class."""
    masks = np.repeat(np.array(classes, np.uint8)[:, None, None], SIDE, 1).repeat(SIDE, 2)
    return DecodedPairs(np.repeat(10 * masks[..., None], 3, axis=3), masks)


def seen(name: AugmentationName, pairs: DecodedPairs, number: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    stream = PairStream([pairs], seed=5, augmentation=name)
    return [(to_image(image), mask.numpy()) for image, mask in (stream[i] for i in range(number))]


@pytest.mark.parametrize("name", get_args(AugmentationName))
def test_a_position_decides_everything(name: AugmentationName) -> None:
    random = np.random.default_rng(0)
    pairs = DecodedPairs(random.integers(0, 256, (6, SIDE, SIDE, 3)).astype(np.uint8), flat([0, 1, 2, 3, 4, 5]).masks)
    stream = PairStream([pairs], seed=5, augmentation=name)
    backwards = {i: (to_image(stream[i][0]), stream[i][1].numpy()) for i in reversed(range(40))}
    for i, (image, mask) in enumerate(seen(name, pairs)):
        np.testing.assert_array_equal(image, backwards[i][0])
        np.testing.assert_array_equal(mask, backwards[i][1])


@pytest.mark.parametrize("name", ["flips", "cutmix", "copy_paste"])
def test_labels_stay_on_their_pixels(name: AugmentationName) -> None:
    random = np.random.default_rng(1)
    masks = random.integers(0, 6, (5, SIDE, SIDE)).astype(np.uint8)
    for image, mask in seen(name, DecodedPairs(np.repeat(10 * masks[..., None], 3, axis=3), masks)):
        np.testing.assert_array_equal(image, np.repeat(10 * mask[..., None], 3, axis=2))


def test_cutout_hides_one_square_and_its_labels() -> None:
    for image, mask in seen("cutout", flat([1, 2])):
        hidden = mask == IGNORE_INDEX
        rows, columns = (np.flatnonzero(hidden.any(axis)) for axis in (1, 0))
        assert hidden.sum() == len(rows) * len(columns), "the hidden part is no rectangle"
        assert SIDE // 4 <= len(rows) <= SIDE // 2 and SIDE // 4 <= len(columns) <= SIDE // 2
        assert (image[hidden] == 127).all()
        np.testing.assert_array_equal(image[~hidden], np.repeat(10 * mask[~hidden][:, None], 3, axis=1))


def test_the_strong_recipe_never_invents_a_class() -> None:
    masks = np.zeros((4, SIDE, SIDE), np.uint8)
    masks[:, :, 16:] = 4
    pairs = DecodedPairs(np.repeat(60 + 30 * masks[..., None], 3, axis=3), masks)
    found = seen("strong", pairs, 100)
    assert {int(k) for _, mask in found for k in np.unique(mask)} == {0, 4, IGNORE_INDEX}
    # Colours change, so that images of equal masks differ.
    assert len({image.tobytes() for image, _ in found}) > 75


def test_cut_mix_takes_a_rectangle_of_any_size() -> None:
    first, second = flat([1]), flat([2])
    shares = []
    for seed in range(300):
        pair = cut_mix(*first[0], *second[0], np.random.default_rng(seed))
        taken = pair[1] == 2
        rows, columns = taken.any(1).sum(), taken.any(0).sum()
        assert taken.sum() == rows * columns
        shares.append(taken.mean())
    # A uniform share has mean 1/2 and standard deviation 0.29: 0.0167 over 300 draws.
    assert np.mean(shares) == pytest.approx(0.5, abs=0.07)
    assert min(shares) < 0.05 and max(shares) > 0.95


def test_copy_paste_takes_all_of_half_the_classes_and_never_what_is_ignored() -> None:
    image, mask = flat([9])[0]
    other_mask = np.repeat(np.array([0, 1, 2, 3, IGNORE_INDEX], np.uint8), 8)[:SIDE][None].repeat(SIDE, 0)
    other_mask[:, -4:] = IGNORE_INDEX
    other = np.repeat(10 * other_mask[..., None], 3, axis=2)
    for seed in range(20):
        pasted, labels = copy_paste(image, mask, other, other_mask, np.random.default_rng(seed))
        chosen = set(np.unique(labels)) - {9}
        assert len(chosen) == 2 and IGNORE_INDEX not in chosen
        taken = np.isin(other_mask, list(chosen))
        np.testing.assert_array_equal(labels, np.where(taken, other_mask, 9))
        np.testing.assert_array_equal(pasted[..., 0], np.where(taken, 10 * other_mask, 90))
    nothing = np.full_like(mask, IGNORE_INDEX)
    np.testing.assert_array_equal(copy_paste(image, mask, other, nothing, np.random.default_rng(0))[1], mask)
