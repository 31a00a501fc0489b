"""Weights of another generator as the start of a training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load_file

from satsynth.diffusion.beforehand import require_alike
from satsynth.diffusion.denoiser import IMAGE_CHANNELS
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.saved import AVERAGED
from satsynth.generation.saved import SavedGenerator
from satsynth.work.errors import SatSynthError

log = logging.getLogger(__name__)

# Axis, start and size of the block of a pair's first channel, by the name of the weights that have such blocks.
Blocks = dict[str, tuple[int, int, int]]
# With a smaller share of the weights a start from another generator is none.
LEAST = 0.05


def start_from(
    generator: Generator, settings: GeneratorSettings, classes: Sequence[dict[str, Any]], saved: SavedGenerator
) -> float:
    """Put the averaged weights of another generator in the place of new ones, as far as they fit.

    Convolutions between pairs and features have a block of weights for each channel of a pair. The blocks of the image
    are taken over, those of label channels too where label code and classes are the same. Other weights are taken over
    where their shapes are equal. All else stays new.

    Args:
        generator: A generator with new weights; changed.
        settings: What it is.
        classes: Its classes.
        saved: The generator to start from.

    Returns:
        The share of weights that were taken over.

    Raises:
        SatSynthError: The other generator is of another family, predicts something else, or has a network of which
            next to nothing fits.
        DamagedError: Its weights are not what was written.
    """
    require_alike(settings, saved)
    theirs = GeneratorSettings(**{"noise_levels": "common", **saved.manifest["model"]})
    same_code = (settings.label_code, settings.label_scale) == (theirs.label_code, theirs.label_scale)
    same_labels = same_code and [c["name"] for c in classes] == saved.class_names
    # The values of a state are those of the network.
    old, new = load_file(saved.file(AVERAGED)), generator.denoiser.state_dict()
    blocks, their_blocks = _blocks(settings), _blocks(theirs)
    taken, total = 0, sum(value.numel() for value in new.values())
    for name, value in new.items():
        if name not in old:
            # A second noise level that the other generator did not have changes nothing at first.
            if "class_embedding.linear_2" in name:
                value.zero_()
            continue
        if name in blocks and name in their_blocks:
            number = generator.channels if same_labels else IMAGE_CHANNELS
            taken += _take_blocks(value, old[name], blocks[name], their_blocks[name], number)
        elif value.shape == old[name].shape:
            value.copy_(old[name])
            taken += value.numel()
    share = taken / total
    if share < LEAST:
        raise SatSynthError(
            f"Only {share:.1%} of the network's weights fit those of the generator {saved.path} (`diffusion.start_from`"
            f"), whose network has {theirs.network.model_dump()}.",
            "Set `diffusion.model.network` to these values, or leave `diffusion.start_from` out.",
        )
    labels = "labels included" if same_labels else "label channels new"
    log.info("Diffusion: starts from %s, %.0f %% of its weights, %s", saved.path, 100 * share, labels)
    return share


def _blocks(settings: GeneratorSettings) -> Blocks:
    """Return where the weights between pairs and features lie."""
    patch, head = settings.network.stem**2, settings.network.head
    last, size = ("head.2", 1) if head else ("unet.conv_out", patch)
    found = {"unet.conv_in.weight": (1, 0, patch), f"{last}.weight": (0, 0, size), f"{last}.bias": (0, 0, size)}
    if head:
        found["head.0.weight"] = (1, head, 1)
    return {f"network.{name}": block for name, block in found.items()}


def _take_blocks(
    value: torch.Tensor, old: torch.Tensor, block: tuple[int, int, int], other: tuple[int, int, int], number: int
) -> int:
    """Copy what lies before the blocks, and the blocks of the first channels, where all else about them is equal."""
    if block != other or value.dim() != old.dim():
        return 0
    axis, start, size = block
    length = start + number * size
    mine, theirs = value.narrow(axis, 0, length), old.narrow(axis, 0, length)
    if mine.shape != theirs.shape:
        return 0
    mine.copy_(theirs)
    return mine.numel()
