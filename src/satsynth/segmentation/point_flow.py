"""PFSegNet: a feature pyramid whose semantics flow from level to level through selected points only.

Written from the paper: Li et al., "PointFlow: Flowing Semantics Through Points for Aerial Image Segmentation", CVPR
2021, arXiv 2103.06564.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

# Sides of the grids that pyramid pooling averages into (Zhao et al., CVPR 2017), and of the window that smooths a map.
POOLED, SMOOTHED = (1, 2, 3, 6), 9


def resized(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return maps ``(B, C, h, w)`` at another size, bilinearly."""
    same = tuple(maps.shape[-2:]) == tuple(size)
    return maps if same else F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def convolution(inputs: int, outputs: int, side: int) -> nn.Sequential:
    """Return a convolution that keeps the size of a map, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def salient_points(match: torch.Tensor, side: int) -> torch.Tensor:
    """Return the place of the largest value in each cell of a grid over a map.

    Args:
        match: ``(B, 1, H, W)``.
        side: Cells along each side; a smaller map has as many as pixels.

    Returns:
        ``(B, N)`` int64 of places ``row * W + column``; where cells overlap, a place may come twice.
    """
    height, width = match.shape[-2:]
    grid = min(side, height), min(side, width)
    return F.adaptive_max_pool2d(match, grid, return_indices=True)[1].flatten(1)


def edge_points(edges: torch.Tensor, number: int) -> torch.Tensor:
    """Return the places ``(B, N)`` int64 of the largest values of maps ``(B, 1, H, W)``, at most ``number``."""
    flat = edges.flatten(1)
    return flat.topk(min(number, flat.shape[1]), dim=1).indices


def at_points(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return what maps ``(B, C, H, W)`` hold at places ``(B, N)``, as ``(B, N, C)``."""
    return maps.flatten(2).gather(2, places[:, None].expand(-1, maps.shape[1], -1)).mT


def scattered(values: torch.Tensor, places: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return maps ``(B, C, H, W)`` that hold values at places and zero elsewhere.

    Args:
        values: ``(B, N, C)``.
        places: ``(B, N)``; a place that comes several times gets the mean of its values.
        size: H and W.
    """
    batch, _, channels = values.shape
    pixels = size[0] * size[1]
    counts = values.new_zeros(batch, pixels).scatter_add(1, places, values.new_ones(places.shape))
    shares = (values / counts.gather(1, places)[..., None]).mT
    flat = values.new_zeros(batch, channels, pixels)
    flat = flat.scatter_add(2, places[:, None].expand(-1, channels, -1), shares)
    return flat.unflatten(2, tuple(size))


class PointFlow(nn.Module):
    """Carries semantics from a deep map to its shallow neighbour at two kinds of points, salient ones and edges.

    At the points of a kind, each shallow one takes what the deep ones hold, weighted by the softmax of the products of
    their embeddings; the shallow map keeps all else as it is.

    Args:
        channels: Channels C of both maps.
        embedding: Dimensions in which points are compared.
        salient_side: Side of the grid of salient points, one a cell.
        edges: Number of edge points.
    """

    def __init__(self, channels: int, embedding: int, salient_side: int, edges: int) -> None:
        super().__init__()
        self._salient_side, self._edges = salient_side, edges
        self.of_deep = nn.Conv2d(channels, embedding, 1)
        self.of_shallow = nn.Conv2d(channels, embedding, 1)
        self.match = nn.Conv2d(2 * embedding, 1, 3, padding=1)
        self.edge = nn.Sequential(convolution(channels, embedding, 3), nn.Conv2d(embedding, 1, 1))

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the shallow map with what flowed into it, and logits of edges.

        Args:
            deep: ``(B, C, h, w)``.
            shallow: ``(B, C, H, W)``.

        Returns:
            ``(B, C, H, W)`` and ``(B, 1, H, W)``.
        """
        size = shallow.shape[-2:]
        deep = resized(deep, size)
        keys, queries = self.of_deep(deep), self.of_shallow(shallow)
        match = torch.sigmoid(self.match(torch.cat([keys, queries], 1)))
        # A map less its smoothed self is what changes within a few pixels.
        smooth = F.avg_pool2d(shallow, SMOOTHED, 1, SMOOTHED // 2, count_include_pad=False)
        edges = self.edge(shallow - smooth)
        salient = salient_points(match.detach(), self._salient_side)
        # How well a place matches scales what flows to it; through nothing else would the match map learn.
        carried = _flow(keys, queries, deep, salient) * at_points(match, salient)
        gained = scattered(carried, salient, size)
        sharp = edge_points(edges.detach(), self._edges)
        gained = gained + scattered(_flow(keys, queries, deep, sharp), sharp, size)
        return shallow + gained, edges


def _flow(keys: torch.Tensor, queries: torch.Tensor, deep: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return what deep points hold, mixed for each shallow point by affinity: ``(B, N, C)``."""
    products = at_points(queries, places) @ at_points(keys, places).mT
    return products.softmax(2) @ at_points(deep, places)


class PyramidPooling(nn.Module):
    """Averages of a map over grids of several sizes, beside the map.

    Source: Zhao et al., CVPR 2017, arXiv 1612.01105.

    Args:
        inputs: Channels of the map.
        outputs: Channels that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), convolution(inputs, outputs, 1)) for side in POOLED
        )
        self.join = convolution(inputs + len(POOLED) * outputs, outputs, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs, H, W)`` for maps ``(B, inputs, H, W)``."""
        found: torch.Tensor = self.join(
            torch.cat([maps, *(resized(branch(maps), maps.shape[-2:]) for branch in self.branches)], 1)
        )
        return found


class PFSegNet(nn.Module):
    """An encoder, pyramid pooling on its deepest map, point flow from each of its last four maps to the one before.

    Args:
        encoder: Gives feature maps, the deepest last.
        widths: Channels of its last four maps.
        classes: Number of classes K.
        channels: Channels of the feature pyramid.
        embedding: See `PointFlow`.
        salient_side: See `PointFlow`.
        edges: See `PointFlow`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        widths: Sequence[int],
        classes: int,
        channels: int = 256,
        embedding: int = 64,
        salient_side: int = 14,
        edges: int = 128,
    ) -> None:
        super().__init__()
        *shallow, deepest = widths
        self.encoder = encoder
        self.pooling = PyramidPooling(deepest, channels)
        self.laterals = nn.ModuleList(convolution(width, channels, 1) for width in shallow)
        self.flows = nn.ModuleList(PointFlow(channels, embedding, salient_side, edges) for _ in shallow)
        self.smoothing = nn.ModuleList(convolution(channels, channels, 3) for _ in shallow)
        self.head = nn.Sequential(convolution(len(widths) * channels, channels, 3), nn.Conv2d(channels, classes, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, K, H, W)`` of images ``(B, 3, H, W)``."""
        return self.with_edges(images)[0]

    def with_edges(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return logits ``(B, K, H, W)``, and those of edges at each level ``(B, 1, h, w)``, the deepest first."""
        *shallow, deepest = self.encoder(images)[-len(self.flows) - 1 :]
        flowing = self.pooling(deepest)
        levels, edges = [flowing], []
        stages = list(zip(self.laterals, self.flows, self.smoothing, shallow, strict=True))
        for lateral, flow, smooth, maps in reversed(stages):
            flowing, edge = flow(flowing, lateral(maps))
            levels.append(smooth(flowing))
            edges.append(edge)
        size = levels[-1].shape[-2:]
        logits = self.head(torch.cat([resized(level, size) for level in levels], 1))
        return resized(logits, images.shape[-2:]), edges
