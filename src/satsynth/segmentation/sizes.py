"""Which tiles the networks of a grid take. Imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.errors import SatSynthError


def check_tile_size(networks: Mapping[str, SegmentationNetwork], side: int) -> None:
    """Refuse tiles that a network cannot be trained on, before any network is.

    Args:
        networks: Networks by name.
        side: Side of a tile in pixels.

    Raises:
        SatSynthError: The side is no multiple of what a network reduces images by.
    """
    multiples = {name: ARCHITECTURES[of.architecture].side_multiple(of) for name, of in networks.items()}
    refused = {name: multiple for name, multiple in multiples.items() if side % multiple}
    if not refused:
        return
    # All of them are powers of two, so what the largest takes, all take.
    step = max(multiples.values())
    fitting = " or ".join(str(size) for size in (side // step * step, (side // step + 1) * step) if size)
    named = ", ".join(f"'{name}' ({networks[name].architecture}): {multiple}" for name, multiple in refused.items())
    raise SatSynthError(
        f"`tiling.tile_size` is {side}, but some of `segmentation.networks` take tiles whose side is a multiple of "
        f"another number only: {named}.",
        f"Set `tiling.tile_size` to {fitting}, or take these networks out of `segmentation.networks`.",
    )
