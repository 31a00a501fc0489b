import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from satsynth.pairs.regions import regions_of, without_small_regions

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
masks = arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 255]))


@given(masks)
def test_regions_against_scipy(mask):
    numbers, classes, sizes = regions_of(mask)
    expected = []
    for k in range(3):
        labels, number = ndimage.label(mask == k, structure=np.ones((3, 3)))
        expected += [(k, int((labels == i).sum())) for i in range(1, number + 1)]
    assert sorted(zip(classes.tolist(), sizes.tolist(), strict=True)) == sorted(expected)
    assert np.array_equal(numbers == -1, mask == 255)
    for i, (k, size) in enumerate(zip(classes, sizes, strict=True)):
        assert (numbers == i).sum() == size
        assert (mask[numbers == i] == k).all()


@given(masks, st.integers(0, 12))
def test_no_small_region_is_left(mask, smallest):
    cleaned = without_small_regions(mask, smallest)
    sizes = regions_of(mask)[2]
    assert cleaned.dtype == np.uint8
    assert np.array_equal(cleaned == 255, mask == 255)
    if (sizes >= smallest).any():
        # Ignored pixels may lie between a small region and the class that it took: only then may it stand alone.
        assert (regions_of(cleaned)[2] >= smallest).all() or (mask == 255).any()
        large = np.append(sizes >= smallest, False)[regions_of(mask)[0]]
        assert np.array_equal(cleaned[large], mask[large])
        assert np.array_equal(without_small_regions(cleaned, smallest), cleaned) or (mask == 255).any()
    else:
        assert np.array_equal(cleaned, mask)


def test_a_speck_takes_the_class_around_it():
    mask = np.zeros((12, 12), np.uint8)
    mask[:, 6:] = 1
    mask[3, 2] = 2
    mask[8, 9] = 0
    expected = np.zeros((12, 12), np.uint8)
    expected[:, 6:] = 1
    assert np.array_equal(without_small_regions(mask, 5), expected)


def test_nothing_changes_where_it_is_off():
    mask = np.random.default_rng(0).integers(0, 4, (16, 16), np.uint8)
    assert without_small_regions(mask, 0) is mask
