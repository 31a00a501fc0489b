from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity import feature_extractor_inceptionv3 as inception

from satsynth.analysis.measures.inception import inception_facts, weights_name
from satsynth.work.errors import ResourceError

CPU = torch.device("cpu")


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
    sets = {"train": images(0, 6), "synthetic": images(1, 20)}
    facts = inception_facts(sets, np.arange(6) < 3, weights, CPU, batch_size=5)
    wanted = torch_fidelity.calculate_metrics(
        input1=Stack(sets["synthetic"]),
        input2=Stack(sets["train"]),
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
    assert facts["fid"]["synthetic"] == pytest.approx(wanted["frechet_inception_distance"], rel=1e-3)
    score = facts["inception_score"]["synthetic"]
    assert score["mean"] == pytest.approx(wanted["inception_score_mean"], rel=1e-4)
    assert score["std"] == pytest.approx(wanted["inception_score_std"], rel=1e-2, abs=1e-7)
    assert set(facts["fid"]) == {"synthetic", "train_halves"}
    assert "6 images" in facts["note"]
    assert facts["weights"] == weights_name(weights)


def test_one_training_scene_has_no_halves(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsynth.analysis.measures.inception.POOLED", "64")
    facts = inception_facts({"train": images(0, 4), "synthetic": images(1, 4)}, np.ones(4, bool), weights, CPU)
    assert np.isnan(facts["fid"]["train_halves"]) and np.isfinite(facts["fid"]["synthetic"])


def test_weights_that_are_not_there_or_not_weights(tmp_path: Path) -> None:
    sets = {"train": images(0, 4), "synthetic": images(1, 4)}
    halves = np.arange(4) < 2
    with pytest.raises(ResourceError, match="do not exist"):
        inception_facts(sets, halves, str(tmp_path / "none.pth"), CPU)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ResourceError, match="cannot be read"):
        inception_facts(sets, halves, str(tmp_path / "text.pth"), CPU)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ResourceError, match="does not hold the weights"):
        inception_facts(sets, halves, str(tmp_path / "other.pth"), CPU)


def test_without_a_network_the_error_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(inception, "load_state_dict_from_url", unreachable)
    with pytest.raises(ResourceError, match=r"(?s)cannot be downloaded.*weights-inception.*comparison.inception"):
        inception_facts({"train": images(0, 2)}, np.arange(2) < 1, "download", CPU)
