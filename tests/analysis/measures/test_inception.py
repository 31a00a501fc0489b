from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity import feature_extractor_inceptionv3 as inception

from made_sets import made_inputs
from satsynth.analysis.measures.inception import MEASURE, weights_name
from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.table import row_of, values_of
from satsynth.analysis.settings import ComparisonSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError


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
    assert set(values_of(table, "fid")) == {"synthetic", "train_halves"}
    assert set(values_of(table, "inception_score")) == {"synthetic", "train"}
    assert MEASURE.settings(inputs.comparison) == {"weights": weights_name(weights)}


def test_one_training_scene_has_no_halves(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsynth.analysis.measures.inception.POOLED", "64")
    fid = values_of(MEASURE.table(inputs_of(weights, 4, "aaaa")), "fid")
    assert np.isnan(fid["train_halves"]) and np.isfinite(fid["synthetic"])


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
