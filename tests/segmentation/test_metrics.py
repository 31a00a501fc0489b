import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from satsynth.scenes.description import IGNORE_INDEX
from satsynth.segmentation.metrics import confusion_matrix, scores

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
