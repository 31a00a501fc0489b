from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from satsynth.segmentation.losses import (
    balanced_edge_loss,
    class_edges,
    cross_entropy,
    hard_cross_entropy,
    point_flow_loss,
)
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 8


@pytest.fixture
def masks() -> torch.Tensor:
    made = torch.randint(0, 3, (2, SIDE // 2, SIDE // 2), generator=torch.Generator().manual_seed(0))
    made = made.repeat_interleave(2, 1).repeat_interleave(2, 2)
    made[0, :3, :5] = IGNORE_INDEX
    return made


@pytest.fixture
def logits() -> torch.Tensor:
    return 4 * torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def pixels(masks: torch.Tensor) -> Iterator[tuple[int, int, int]]:
    yield from ((b, y, x) for b, y, x in torch.nonzero(masks != IGNORE_INDEX).tolist())


def errors_by_loops(logits: torch.Tensor, masks: torch.Tensor) -> list[float]:
    return [-logits[b, :, y, x].log_softmax(0)[masks[b, y, x]].item() for b, y, x in pixels(masks)]


def test_cross_entropy_is_the_mean_of_labelled_pixels(logits: torch.Tensor, masks: torch.Tensor) -> None:
    found = errors_by_loops(logits, masks)
    assert cross_entropy(logits, masks).item() == pytest.approx(sum(found) / len(found), rel=1e-5)


@pytest.mark.parametrize("sharpness", [1.0, 0.0, 50.0])
def test_hard_pixels_against_loops(logits: torch.Tensor, masks: torch.Tensor, sharpness: float) -> None:
    """At random, where all pixels are equally hard, and where nearly none is: then the hardest sixteenth counts."""
    right = F.one_hot(masks.clamp(max=2), 3).movedim(-1, 1)
    given = logits * sharpness if sharpness < 2 else logits + sharpness * right
    found = sorted(errors_by_loops(given, masks), reverse=True)
    hard = [error for error in found if error >= -math.log(0.7)]
    least = found[: math.ceil(len(found) / 16)]
    expected = hard if len(hard) > len(least) else least
    assert hard_cross_entropy(given, masks).item() == pytest.approx(sum(expected) / len(expected), rel=1e-4, abs=1e-6)


def edge_by_loops(masks: torch.Tensor, b: int, y: int, x: int) -> bool:
    around = masks[b, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].flatten().tolist()
    return masks[b, y, x] != IGNORE_INDEX and len(set(around) - {IGNORE_INDEX}) > 1


def test_edges_against_loops(masks: torch.Tensor) -> None:
    found = class_edges(masks)
    expected = [edge_by_loops(masks, b, y, x) for b in range(2) for y in range(SIDE) for x in range(SIDE)]
    assert found.flatten().tolist() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_loss_of_edges_against_loops(masks: torch.Tensor, cell: int) -> None:
    number = SIDE // cell
    logits = torch.randn(2, 1, number, number, generator=torch.Generator().manual_seed(2))
    cells = []
    for b in range(2):
        for i in range(number):
            for j in range(number):
                inside = [(b, i * cell + y, j * cell + x) for y in range(cell) for x in range(cell)]
                if any(masks[p] != IGNORE_INDEX for p in inside):
                    cells.append((logits[b, 0, i, j], any(edge_by_loops(masks, *p) for p in inside)))
    share = sum(edge for _, edge in cells) / len(cells)
    of_edges = sum(-F.logsigmoid(logit) for logit, edge in cells if edge)
    of_others = sum(-F.logsigmoid(-logit) for logit, edge in cells if not edge)
    expected = ((1 - share) * of_edges + share * of_others) / len(cells)
    assert balanced_edge_loss(logits, masks).item() == pytest.approx(float(expected), rel=1e-5)


def test_edges_weigh_25_at_each_level(logits: torch.Tensor, masks: torch.Tensor) -> None:
    levels = [torch.randn(2, 1, side, side) for side in (2, 4, 8)]
    expected = hard_cross_entropy(logits, masks) + 25 * sum(balanced_edge_loss(level, masks) for level in levels)
    torch.testing.assert_close(point_flow_loss(logits, levels, masks), expected)


def test_masks_that_are_ignored_entirely_have_no_loss_and_no_gradient(logits: torch.Tensor) -> None:
    logits.requires_grad_()
    edges = torch.zeros(2, 1, 4, 4, requires_grad=True)
    loss = point_flow_loss(logits, [edges], torch.full((2, SIDE, SIDE), IGNORE_INDEX))
    loss.backward()
    assert loss.item() == 0
    for given in (logits, edges):
        assert given.grad is not None and not given.grad.any()
