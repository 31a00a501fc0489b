"""Looks at a generator in training: its error by noise level on seen and on held-out pairs, and pairs drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.settings import DiffusionDrawing
from satsynth.generation.drawers import Request
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import to_tensors
from satsynth.training.device import autocast
from satsynth.training.seeds import noise_source
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX

# From details to layout: at the first only the finest grain is hidden, at the last all but what the whole tile is.
LEVELS = (0.1, 0.4, 1.5, 6.0, 25.0)
PAIRS, DRAWN = 32, 8
BATCH = 16
SEED = 20_240_617

Pictures = Callable[[int, np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class Watch:
    """What is measured and drawn; the same pairs, noise and seeds at each look.

    Args:
        train: Pairs that are trained on.
        val: Pairs of held-out scenes.
        drawing: How pairs are drawn; as the run itself draws them.
        device: Device of the generator.
        compute: How to compute.
        on_pictures: Called with the step, images ``(N, H, W, 3)`` and masks ``(N, H, W)``, both uint8, drawn from it.
    """

    train: DecodedPairs
    val: DecodedPairs
    drawing: DiffusionDrawing
    device: torch.device
    compute: ComputeSettings
    on_pictures: Pictures

    def look(self, generator: Generator, step: int) -> dict[str, float]:
        """Draw some pairs and return the mean squared errors of the denoiser.

        A growing gap between the errors on held-out and on seen pairs is over-fitting.

        Args:
            generator: The generator, in its averaged weights.
            step: Steps done.

        Returns:
            ``<set>_<image or label>_error.sigma_<level>`` and ``val_error``, the mean of those on held-out pairs, each
            in units of its value for an estimate that is always zero.
        """
        errors: dict[str, float] = {}
        for name, pairs in (("train", self.train), ("val", self.val)):
            for level in LEVELS:
                for part, value in denoising_errors(generator, pairs, level, self.device, self.compute).items():
                    errors[f"{name}_{part}_error.sigma_{level}"] = value
        errors["val_error"] = float(np.mean([value for name, value in errors.items() if name.startswith("val_")]))
        side = self.train.images.shape[1]
        drawer = JointDrawer(generator, side, self.drawing, self.device, self.compute)
        self.on_pictures(step, *drawer.draw(range(DRAWN), Request(SEED)))
        return errors


@torch.inference_mode()
def denoising_errors(
    generator: Generator, pairs: DecodedPairs, level: float, device: torch.device, compute: ComputeSettings
) -> dict[str, float]:
    """Return the denoiser's squared error at one noise level on up to 32 pairs, relative to an estimate of zero.

    Args:
        generator: The generator.
        pairs: Pairs; evenly spread ones are taken, ignored pixels do not count for labels.
        level: Sigma.
        device: Device of the generator.
        compute: How to compute.

    Returns:
        ``image`` and ``label``; the latter is left out where no pixel is labelled.
    """
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), PAIRS)).round().astype(int)
    found = torch.zeros(4, dtype=torch.float64)
    for first in range(0, len(chosen), BATCH):
        rows = chosen[first : first + BATCH]
        tensors = [to_tensors(*pairs[int(i)]) for i in rows]
        images, masks = (torch.stack(part).to(device) for part in zip(*tensors, strict=True))
        clean = generator.join(images, masks).contiguous(memory_format=torch.channels_last)
        noise = noise_source(SEED, range(first, first + len(rows)), tuple(clean.shape[1:]))().to(device)
        sigma = torch.full((len(rows),), level, device=device)
        with autocast(device, compute):
            error = (generator.denoiser(clean + level * noise, sigma) - clean).double().square()
        counts = (masks != IGNORE_INDEX)[:, None]
        square = clean.double().square()
        parts = (error[:, :3], square[:, :3], error[:, 3:] * counts, square[:, 3:] * counts)
        found += torch.stack([part.sum() for part in parts]).cpu()
    sums = {"image": found[:2], "label": found[2:]}
    return {name: float(error / scale) for name, (error, scale) in sums.items() if scale > 0}
