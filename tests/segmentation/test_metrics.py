import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from satsynth.segmentation.metrics import BOUNDARY_PIXELS, BoundaryTally, confusion_matrix, scores
from satsynth.work.ignore import IGNORE_INDEX

classes_and_masks = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k),
        arrays(np.int64, (2, 4, 4), elements=st.integers(0, k - 1)),
        arrays(np.int64, (2, 4, 4), elements=st.sampled_from([*range(k), IGNORE_INDEX])),
    )
)


@given(classes_and_masks)
def test_confusion_against_loops(case):
    classes, predicted, target = case
    expected = np.zeros((classes, classes), np.int64)
    for p, t in zip(predicted.ravel(), target.ravel(), strict=True):
        if t != IGNORE_INDEX:
            expected[t, p] += 1
    found = confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(target), classes)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)


@given(classes_and_masks)
def test_scores_against_sets_of_pixels(case):
    classes, predicted, target = case
    counted = target != IGNORE_INDEX
    found = scores(confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(target), classes))
    ious, f1s = [], []
    for k in range(classes):
        hit = {*np.flatnonzero((target == k).ravel())}
        guess = {*np.flatnonzero(((predicted == k) & counted).ravel())}
        if not hit:
            assert np.isnan(found.iou[k])
            continue
        ious.append(len(hit & guess) / len(hit | guess))
        f1s.append(2 * len(hit & guess) / (len(hit) + len(guess)))
        assert found.iou[k] == pytest.approx(ious[-1])
    if ious:
        assert found.miou == pytest.approx(np.mean(ious))
        assert found.mf1 == pytest.approx(np.mean(f1s))
        assert found.accuracy == pytest.approx(np.mean(predicted[counted] == target[counted]))


def test_scores_equal_torchmetrics_where_every_class_is_present():
    random = torch.Generator().manual_seed(0)
    predicted = torch.randint(0, 5, (3, 20, 20), generator=random)
    target = torch.randint(0, 5, (3, 20, 20), generator=random)
    target[:, :4] = IGNORE_INDEX
    found = scores(confusion_matrix(predicted, target, 5))
    options = {"num_classes": 5, "ignore_index": IGNORE_INDEX}
    assert found.miou == pytest.approx(multiclass_jaccard_index(predicted, target, **options).item(), rel=1e-5)
    assert found.mf1 == pytest.approx(multiclass_f1_score(predicted, target, average="macro", **options).item(), 1e-5)


def test_predictions_at_ignored_pixels_do_not_count():
    target = torch.tensor([[0, 1, IGNORE_INDEX, IGNORE_INDEX]])
    first = confusion_matrix(torch.tensor([[0, 1, 0, 0]]), target, 2)
    second = confusion_matrix(torch.tensor([[0, 1, 1, 0]]), target, 2)
    assert np.array_equal(first, second)
    assert first.sum() == 2


def test_an_absent_class_is_not_counted_as_zero():
    found = scores(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert np.isnan(found.iou[2])
    assert found.miou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert found.mf1 == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_a_class_that_is_never_found_counts_as_zero():
    found = scores(np.array([[4, 0], [4, 0]]))
    assert found.iou.tolist() == [0.5, 0.0]
    assert found.miou == 0.25


def test_pixels_given_to_an_absent_class_count_against_their_own():
    assert scores(np.array([[3, 1], [0, 0]])).iou[0] == 0.75


def test_no_labelled_pixel_gives_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores(np.zeros((3, 3), np.int64))
    assert np.isnan([found.miou, found.mf1, found.accuracy, *found.iou]).all()


@given(arrays(np.int64, (4, 4), elements=st.integers(0, 50)))
def test_scores_lie_between_zero_and_one_and_iou_below_f1(confusion):
    found = scores(confusion)
    if np.isnan(found.miou):
        assert confusion.sum() == 0
    else:
        assert 0 <= found.miou <= found.mf1 <= 1
        assert 0 <= found.accuracy <= 1


def boundary_pixels(mask, k):
    """Return the places of class k with a neighbour of another class; ignored pixels and the edge are none."""
    found = set()
    for y, x in zip(*np.nonzero(mask == k), strict=True):
        around = mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        if ((around != k) & (around != IGNORE_INDEX)).any():
            found.add((int(y), int(x)))
    return found


@given(st.integers(0, 2**31))
@hypothesis_settings(max_examples=25, deadline=None)
def test_boundary_f1_against_loops(seed):
    random = np.random.default_rng(seed)
    tally, near, counts = BoundaryTally(3), BOUNDARY_PIXELS, np.zeros((4, 3))
    for _ in range(2):
        predicted, target = (random.integers(0, 3, (5, 5)).repeat(3, 0).repeat(3, 1) for _ in range(2))
        target[:2, :7] = IGNORE_INDEX
        tally.add(predicted, target)
        predicted = np.where(target == IGNORE_INDEX, IGNORE_INDEX, predicted)
        # OpenCV's disc of radius 2 is the square of 5 x 5 without its 8 places beside the corners.
        disc = [(y, x) for y in range(-near, near + 1) for x in range(-near, near + 1) if abs(y) < near or x == 0]
        for k in range(3):
            sides = [boundary_pixels(labels, k) for labels in (predicted, target)]
            for row, (one, other) in enumerate((sides, sides[::-1])):
                counts[2 * row, k] += len(one)
                counts[2 * row + 1, k] += sum(any((y + dy, x + dx) in other for dy, dx in disc) for y, x in one)
    for k, f1 in enumerate(tally.f1()):
        found, right, wanted, met = counts[:, k]
        if not wanted:
            assert np.isnan(f1)
        elif not right + met:
            assert f1 == 0
        else:
            precision, recall = right / max(1, found), met / wanted
            assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(("edge", "wanted"), [(16, 1.0), (18, 1.0), (19, 0.0)])
def test_boundaries_may_be_two_pixels_off(edge, wanted):
    target, predicted = (np.repeat((np.arange(32) >= first)[None], 32, 0).astype(np.int64) for first in (16, edge))
    tally = BoundaryTally(3)
    tally.add(predicted, target)
    assert tally.f1()[:2].tolist() == [wanted] * 2
    assert np.isnan(tally.f1()[2])


@given(classes_and_masks)
def test_iou_and_f1_against_scikit_learn(case):
    classes, predicted, target = case
    counted = target != IGNORE_INDEX
    if not counted.any():
        return
    found = scores(confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(target), classes))
    present = np.unique(target[counted])
    arguments = {"labels": present, "average": None, "zero_division": 0}
    iou = jaccard_score(target[counted], predicted[counted], **arguments)
    assert found.iou[present] == pytest.approx(iou)
    assert found.miou == pytest.approx(iou.mean())
    assert found.mf1 == pytest.approx(f1_score(target[counted], predicted[counted], **arguments).mean())
