import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from satsynth.pairs.codes import LabelCode
from satsynth.work.ignore import IGNORE_INDEX

KINDS = ("bits", "one_hot")
kinds = st.sampled_from(KINDS)
class_numbers = st.integers(2, 40)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", range(2, 41))
def test_round_trip(kind, classes):
    code = LabelCode(kind, classes, 0.5)
    mask = torch.arange(classes).reshape(1, 1, -1).repeat(2, 3, 1)
    encoded = code.encode(mask)
    assert encoded.shape == (2, code.channels, 3, classes)
    assert encoded.dtype == torch.float32
    assert set(encoded.unique().tolist()) == {-0.5, 0.5}
    assert torch.equal(code.decode(encoded), mask)


@pytest.mark.parametrize("classes", range(2, 41))
def test_channels(classes):
    assert LabelCode("bits", classes, 1.0).channels == int(np.ceil(np.log2(classes)))
    assert LabelCode("one_hot", classes, 1.0).channels == classes


def test_bits_are_binary_digits():
    code = LabelCode("bits", 6, 2.0)
    digits = ["".join("1" if value > 0 else "0" for value in row) for row in code.codebook]
    assert digits == [f"{k:03b}" for k in range(6)]


@given(kinds, class_numbers, st.data())
def test_decode_is_the_nearest_codeword_and_never_an_unused_one(kind, classes, data):
    code = LabelCode(kind, classes, 0.5)
    values = st.floats(-3, 3, width=32)
    points = data.draw(arrays(np.float64, (code.channels, 6), elements=values))
    decoded = code.decode(torch.from_numpy(points)[None, :, :, None])[0, :, 0].numpy()
    assert decoded.min() >= 0
    assert decoded.max() < classes
    squares = np.array([[((point - word) ** 2).sum() for word in code.codebook.numpy()] for point in points.T])
    chosen = squares[np.arange(6), decoded]
    np.testing.assert_allclose(chosen, squares.min(1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3, 5, 9, 17, 33])
def test_unused_codewords_decode_to_a_class(kind, classes):
    code = LabelCode(kind, classes, 1.0)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * min(code.channels, 9)).reshape(-1, 1)
    corners = corners.reshape(-1, min(code.channels, 9))
    padded = torch.nn.functional.pad(corners, (0, code.channels - corners.shape[1]), value=-1.0)
    decoded = code.decode(padded.T[None, :, :, None])
    assert set(decoded.unique().tolist()) <= set(range(classes))
    # The codewords themselves are among the corners, so that every class comes out, too.
    assert len(decoded.unique()) >= min(classes, 9)


@given(kinds, class_numbers)
def test_ignore_is_zero_and_at_the_same_distance_from_all_codewords(kind, classes):
    code = LabelCode(kind, classes, 0.7)
    mask = torch.full((1, 2, 2), IGNORE_INDEX)
    mask[0, 0, 0] = classes - 1
    encoded = code.encode(mask)
    assert torch.equal(encoded[0, :, 0, 0], code.codebook[-1])
    assert not encoded[0, :, 1].any()
    assert not encoded[0, :, 0, 1].any()
    assert len(code.codebook.square().sum(1).unique()) == 1


def test_unknown_kind():
    with pytest.raises(ValueError, match="no label code 'grey'"):
        LabelCode("grey", 4, 1.0)
