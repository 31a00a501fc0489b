from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from satsynth.segmentation.networks import build_network
from satsynth.segmentation.point_flow import PFSegNet, PointFlow, at_points, edge_points, salient_points, scattered
from satsynth.segmentation.settings import SegmentationNetwork, TrainingSettings
from satsynth.work.errors import SatSynthError
from stopping import stopped_at

SMALL = SegmentationNetwork(architecture="pfsegnet", encoder="resnet18", options={"decoder_channels": 16})


def maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "width", "side"), [(6, 6, 3), (16, 16, 14), (7, 9, 4), (3, 5, 14)])
def test_salient_points_against_brute_force(height: int, width: int, side: int) -> None:
    match = maps(2, 1, height, width)
    rows, columns = min(side, height), min(side, width)
    for b, places in enumerate(salient_points(match, side).tolist()):
        expected = []
        for i in range(rows):
            for j in range(columns):
                cell = [
                    (y, x)
                    for y in range(i * height // rows, -(-(i + 1) * height // rows))
                    for x in range(j * width // columns, -(-(j + 1) * width // columns))
                ]
                y, x = max(cell, key=lambda place: match[b, 0, place[0], place[1]].item())
                expected.append(y * width + x)
        assert places == expected


@pytest.mark.parametrize("number", [1, 5, 100])
def test_edge_points_against_brute_force(number: int) -> None:
    edges = maps(2, 1, 6, 5)
    for b, places in enumerate(edge_points(edges, number).tolist()):
        order = sorted(range(30), key=lambda place: -edges[b, 0, place // 5, place % 5].item())
        assert places == order[:number]


def test_what_is_scattered_is_found_again_and_all_else_is_zero() -> None:
    places = torch.tensor([[3, 0, 3, 7], [1, 2, 5, 4]])
    values = maps(2, 4, 3)
    found = scattered(values, places, (2, 4))
    again = at_points(found, places)
    torch.testing.assert_close(again[1], values[1])
    torch.testing.assert_close(again[0, 0], (values[0, 0] + values[0, 2]) / 2)
    torch.testing.assert_close(again[0, [1, 3]], values[0, [1, 3]])
    untouched = [[1, 2, 4, 5, 6], [0, 3, 6, 7]]
    assert all(not found[b].flatten(1)[:, empty].any() for b, empty in enumerate(untouched))


def test_gradients_of_places_that_come_twice() -> None:
    places = torch.tensor([[2, 2, 0]])
    values = maps(1, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: scattered(v, places, (2, 2)).square(), values)


@pytest.fixture
def flow() -> PointFlow:
    torch.manual_seed(0)
    return PointFlow(channels=6, embedding=4, salient_side=2, edges=3).eval()


def flow_by_loops(flow: PointFlow, deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
    """Return the shallow map with each point's gain, point by point; both maps have the same size and one image."""
    keys, queries = flow.of_deep(deep), flow.of_shallow(shallow)
    match = torch.sigmoid(flow.match(torch.cat([keys, queries], 1)))
    width, expected = deep.shape[3], shallow.clone()
    smooth = shallow.clone()
    for y in range(shallow.shape[2]):
        for x in range(width):
            smooth[:, :, y, x] = shallow[:, :, max(0, y - 4) : y + 5, max(0, x - 4) : x + 5].mean((2, 3))
    edges = flow.edge(shallow - smooth)
    for places, weights in ((salient_points(match, 2)[0].tolist(), match), (edge_points(edges, 3)[0].tolist(), None)):
        points = [divmod(place, width) for place in places]
        for y, x in points:
            affinity = torch.stack([queries[0, :, y, x] @ keys[0, :, v, u] for v, u in points]).softmax(0)
            gain = sum(a * deep[0, :, v, u] for a, (v, u) in zip(affinity, points, strict=True))
            expected[0, :, y, x] += gain if weights is None else gain * weights[0, 0, y, x]
    return expected


def test_point_flow_against_loops(flow: PointFlow) -> None:
    # Four cells of 3 x 3: no salient point comes twice.
    deep, shallow = maps(1, 6, 6, 6), maps(1, 6, 6, 6, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(flow(deep, shallow)[0], flow_by_loops(flow, deep, shallow))


def test_all_but_the_points_stays_as_it_is(flow: PointFlow) -> None:
    shallow = maps(2, 6, 12, 12, seed=1)
    found, edges = flow(maps(2, 6, 6, 6), shallow)
    changed = (found != shallow).any(1).flatten(1).sum(1)
    assert ((changed >= 4) & (changed <= 4 + 3)).all()
    assert edges.shape == (2, 1, 12, 12)


def test_every_weight_learns(flow: PointFlow) -> None:
    found, edges = flow.train()(maps(2, 6, 6, 6), maps(2, 6, 12, 12, seed=1))
    (found.square().sum() + edges.square().sum()).backward()
    for name, parameter in flow.named_parameters():
        # The normalisation of the edge head takes its constant away.
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("stride", "sides"), [(8, [8, 8, 16]), (16, [4, 8, 16]), (32, [4, 8, 16])])
def test_dilated_stages_keep_their_size(stride: int, sides: list[int]) -> None:
    options = {"decoder_channels": 16, "encoder_output_stride": stride}
    network = build_network(SMALL.model_copy(update={"options": options}), 5).eval()
    assert isinstance(network, PFSegNet)
    with torch.inference_mode():
        logits, edges = network.with_edges(maps(1, 3, 64, 64))
        assert torch.equal(logits, network(maps(1, 3, 64, 64)))
    assert logits.shape == (1, 5, 64, 64)
    assert [level.shape[-1] for level in edges] == sides


def test_any_encoder_stands_in_for_the_papers() -> None:
    """A deep stem, and an encoder that is no ResNet."""
    deep = build_network(SMALL.model_copy(update={"encoder": "tu-resnet18d"}), 3)
    assert sum(isinstance(m, nn.Conv2d) for m in deep.get_submodule("encoder.model.conv1").modules()) == 3
    other = SMALL.model_copy(update={"encoder": "tu-mobilenetv3_small_050"})
    assert build_network(other, 3)(maps(2, 3, 64, 64)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": "resnet1"}, "resnet1"),
        ({"options": {"decoder_wheels": 4}}, "decoder_wheels = 4"),
        ({"options": {"encoder_output_stride": 4}}, "encoder_output_stride = 4"),
        ({"options": {"edge_points": 0}}, "edge_points = 0"),
    ],
)
def test_what_cannot_be_built_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SatSynthError, match=said) as caught:
        build_network(SMALL.model_copy(update=change), 3)
    assert "segmentation.networks" in caught.value.remedy


def test_trained_by_the_common_loop_it_continues_as_if_uninterrupted(
    train_small: Callable[..., Any], tmp_path: Path, metrics: Any
) -> None:
    network = SMALL.model_copy(update={"encoder": "tu-mobilenetv3_small_050"})
    settings = TrainingSettings(images=16, batch_size=4, evaluations=1)
    folder, _ = train_small(tmp_path / "whole", network=network, settings=settings, report=metrics)
    with stopped_at(2):
        train_small(tmp_path / "parts", network=network, settings=settings)
    again, _ = train_small(tmp_path / "parts", network=network, settings=settings)
    for name in ("manifest.json", "model.safetensors"):
        assert (again.result / name).read_bytes() == (folder.result / name).read_bytes()
    losses = [values["loss"] for _, values in metrics.logged if "loss" in values]
    assert len(losses) == 1 and losses[0] > 1.2, "edges weigh in it"
