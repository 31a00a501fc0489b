"""One training of a diffusion model by several processes: the same to rounding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from losses_made import BATCH, LOSSES, SIDE, Losses
from safetensors.torch import load_file

import tiny
from satsynth.diffusion.cascade.settings import CascadeSettings, EnlargerSettings
from satsynth.diffusion.settings import DenoiserSettings, DiffusionSettings
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.ranks import Ranks
from satsynth.work.errors import SatSynthError
from satsynth.work.ignore import IGNORE_INDEX
from stopping import stopped_at

Train = Callable[..., SavedGenerator]
# Twelve steps; a look after six of them.
GIVEN: dict[str, Any] = {"images": 24, "looks": 2, "unlabelled_share": 0.5}


@pytest.fixture(scope="module")
def images_alone() -> DecodedPairs:
    """Images without masks."""
    images = np.random.default_rng(9).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    return DecodedPairs(images, np.full((5, SIDE, SIDE), IGNORE_INDEX, np.uint8))


@pytest.fixture(scope="module")
def given(images_alone: DecodedPairs) -> dict[str, Any]:
    """What is trained."""
    return {**GIVEN, "model": tiny.SEPARATE, "unlabelled": images_alone}


def test_a_training_goes_on_by_another_number_of_processes(
    train_tiny: Train, given: dict[str, Any], tmp_path: Path
) -> None:
    by_one = train_tiny(tmp_path / "one", **given)
    with stopped_at(4):
        train_tiny(tmp_path / "two", **given)
    heard: list[int] = []
    saved = train_tiny(tmp_path / "two", processes=2, on_metrics=lambda step, metrics: heard.append(step), **given)
    assert heard == [6, 12, 12] and not list(tmp_path.rglob("*.pt"))
    ours, theirs = (json.loads((one.path / "history.json").read_text()) for one in (saved, by_one))
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for name in ("loss", "gradient_norm", "val_error"):
        mine, one = ([row[name] for row in rows if name in row] for rows in (ours, theirs))
        assert mine and mine == pytest.approx(one, rel=1e-2)
    for name in ("model.safetensors", "ema.safetensors"):
        # It begins at zero, so all of it is what was learned.
        learned, expected = (load_file(of.path / name)["network.unet.conv_out.weight"] for of in (saved, by_one))
        assert (learned - expected).norm() < 1e-2 * expected.norm()
    changing = {"digest", "files"}
    assert {k: v for k, v in saved.manifest.items() if k not in changing} == {
        k: v for k, v in by_one.manifest.items() if k not in changing
    }


@pytest.mark.parametrize("losses", LOSSES)
def test_each_row_of_a_batch_has_its_noise_whatever_the_number_of_processes(
    losses: Losses, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    images, masks = batch
    found = []
    for count in (1, 2, 3):
        sums: list[torch.Tensor] = []
        for number in range(count):
            ranks = Ranks(number, count)
            generator, step_loss = losses(2, ranks)
            rows, total = ranks.rows(BATCH), torch.zeros(())
            for loss, _ in step_loss(images[rows], masks[rows], 12):
                loss.backward()
                total += loss.detach()
            gradients = [p.grad.flatten() for p in generator.denoiser.parameters() if p.grad is not None]
            sums.append(torch.cat([total[None], *gradients]))
        found.append(torch.stack(sums).sum(0))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-3, atol=1e-5 * float(found[0].abs().max()))


@pytest.mark.parametrize(
    "settings", [DiffusionSettings(batch_size=8), EnlargerSettings(batch_size=8), CascadeSettings()]
)
def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused(settings: DenoiserSettings) -> None:
    settings.require_processes(4)
    with pytest.raises(SatSynthError, match=r"`batch_size` 8 .* `compute\.processes` 3"):
        settings.require_processes(3)
