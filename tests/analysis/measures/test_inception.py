from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from made_sets import made_inputs
from satsynth.analysis.measures.frechet_distance import frechet_distance
from satsynth.analysis.measures.inception import MEASURE, inception_features, weights_name
from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.table import row_of, values_of
from satsynth.analysis.settings import ComparisonSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError

BEFORE = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"]
BEFORE += ["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of the right shapes, drawn at random: the true ones must be downloaded."""
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(inception.FeatureExtractorInceptionV3, "load_state_dict", lambda *_, **__: None)
        network = inception.FeatureExtractorInceptionV3("made", ["2048"])
    for layer in network.modules():
        # Otherwise each layer shrinks what it is given, and all features are nearly zero.
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    torch.nn.init.normal_(network.fc.weight, std=0.5)
    torch.save(network.state_dict(), file)
    return str(file)


def images(seed: int, number: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (
        (random.uniform(0, 255, (number, 1, 1, 3)) + random.uniform(-20, 20, (number, 16, 16, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    )


def inputs_of(weights: str, synthetic: int, scenes: str) -> MeasureInputs:
    return made_inputs(
        images={"train": images(0, len(scenes)), "synthetic": images(1, synthetic)},
        scenes={"train": list(scenes), "synthetic": None},
        comparison=ComparisonSettings(inception=weights),
        compute=ComputeSettings(device="cpu"),
    )


class Stack(torch.utils.data.Dataset):
    def __init__(self, array: np.ndarray) -> None:
        self.array = torch.from_numpy(array).permute(0, 3, 1, 2)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.array[i]


def test_scores_equal_those_of_torch_fidelity(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 2048 features the square root of covariances takes most of a minute.
    monkeypatch.setattr("satsynth.analysis.measures.inception.POOLED", "192")
    monkeypatch.setattr("satsynth.analysis.measures.inception.SPATIAL_CHANNELS", 1)
    inputs = inputs_of(weights, 20, "aaabbb")
    table = MEASURE.table(inputs)
    wanted = torch_fidelity.calculate_metrics(
        input1=Stack(inputs.images["synthetic"]),
        input2=Stack(inputs.images["train"]),
        feature_extractor_weights_path=weights,
        feature_layer_fid="192",
        cuda=False,
        fid=True,
        isc=True,
        batch_size=4,
        verbose=False,
        save_cpu_ram=True,
    )
    assert wanted["frechet_inception_distance"] > 1e-3 and wanted["inception_score_mean"] > 1.001
    assert row_of(table, "fid", "synthetic").value == pytest.approx(wanted["frechet_inception_distance"], rel=1e-3)
    score, deviation = (
        row_of(table, name, "synthetic").value for name in ("inception_score", "inception_score_deviation")
    )
    assert score == pytest.approx(wanted["inception_score_mean"], rel=1e-4)
    assert deviation == pytest.approx(wanted["inception_score_std"], rel=1e-2, abs=1e-7)
    assert set(values_of(table, "fid")) == set(values_of(table, "sfid")) == {"synthetic", "train_halves"}
    assert set(values_of(table, "inception_score")) == {"synthetic", "train"}
    assert MEASURE.settings(inputs.comparison) == {"weights": weights_name(weights)}


def test_one_training_scene_has_no_halves(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsynth.analysis.measures.inception.POOLED", "64")
    monkeypatch.setattr("satsynth.analysis.measures.inception.SPATIAL_CHANNELS", 1)
    table = MEASURE.table(inputs_of(weights, 4, "aaaa"))
    for measure in ("fid", "sfid"):
        distances = values_of(table, measure)
        assert np.isnan(distances["train_halves"]) and np.isfinite(distances["synthetic"])


def test_spatial_features_are_those_of_the_common_evaluator(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first 7 channels of `mixed_6/conv`, at all 17 x 17 places, computed here layer by layer."""
    network = inception.FeatureExtractorInceptionV3("made", ["64", "logits_unbiased"], weights)
    stacks = {name: Stack(images(seed, 3)).array for seed, name in enumerate(("train", "synthetic"))}
    wanted = {}
    for name, stack in stacks.items():
        x = interpolate_bilinear_2d_like_tensorflow1x(stack.float(), (299, 299), align_corners=False)
        x = (x - 128) / 128
        for layer in BEFORE:
            x = getattr(network, layer)(x)
        wanted[name] = network.Mixed_6d.branch1x1(x)[:, :7]
        assert wanted[name].shape == (3, 7, 17, 17)
        pixels = stack.permute(0, 2, 3, 1).numpy()
        _, _, spatial = inception_features(network, pixels, torch.device("cpu"), batch_size=2)
        torch.testing.assert_close(spatial, wanted[name].flatten(1), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("satsynth.analysis.measures.inception.POOLED", "64")
    monkeypatch.setattr("satsynth.analysis.measures.inception.SPATIAL_CHANNELS", 2)
    table = MEASURE.table(
        made_inputs(
            images={name: stack.permute(0, 2, 3, 1).numpy() for name, stack in stacks.items()},
            scenes={"train": list("aba"), "synthetic": None},
            comparison=ComparisonSettings(inception=weights),
            compute=ComputeSettings(device="cpu"),
        )
    )
    first, second = (wanted[name][:, :2].flatten(1).numpy() for name in ("train", "synthetic"))
    assert row_of(table, "sfid", "synthetic").value == pytest.approx(frechet_distance(first, second), rel=1e-3)


def test_weights_that_are_not_there_or_not_weights(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="does not exist"):
        MEASURE.table(inputs_of(str(tmp_path / "none.pth"), 4, "aabb"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ResourceError, match="cannot be read"):
        MEASURE.table(inputs_of(str(tmp_path / "text.pth"), 4, "aabb"))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ResourceError, match="does not hold the weights"):
        MEASURE.table(inputs_of(str(tmp_path / "other.pth"), 4, "aabb"))


def test_without_a_network_the_error_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(inception, "load_state_dict_from_url", unreachable)
    with pytest.raises(ResourceError, match=r"(?s)cannot be downloaded.*weights-inception.*comparison.inception"):
        MEASURE.table(inputs_of("download", 2, "ab"))
