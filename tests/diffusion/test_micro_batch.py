"""A batch in parts: the same losses, gradients and training to rounding, with the memory of a part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from losses_made import BATCH, CLASSES, COMPUTE, LOSSES, SIDE, Losses
from safetensors.torch import load_file

import tiny
from satsynth.diffusion.cascade.settings import CascadeSettings, EnlargerSettings
from satsynth.diffusion.settings import DenoiserSettings, DiffusionSettings
from satsynth.diffusion.training import seconds_an_image
from satsynth.generation.saved import SavedGenerator
from satsynth.training.loop import PartLoss, Training
from stopping import stopped_at


@pytest.mark.parametrize("losses", LOSSES)
def test_losses_and_gradients_of_parts_add_up(losses: Losses, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = []
    for micro_batch in (None, 6, 2, 1):
        generator, step_loss = losses(micro_batch)
        parts = list(step_loss(*batch, 12))
        assert len(parts) == BATCH // (micro_batch or BATCH)
        for loss, _ in parts:
            loss.backward()
        gradients = torch.cat([p.grad.flatten() for p in generator.denoiser.parameters() if p.grad is not None])
        sums = {name: sum(details[name] for _, details in parts) for name in ("loss_image", "loss_label")}
        found.append((torch.stack([sum(loss for loss, _ in parts), *sums.values()]).detach(), gradients))
    (losses, gradients), *others = found
    assert gradients.norm() > 1e-3 and torch.equal(losses, others[0][0])
    for other_losses, other_gradients in others:
        torch.testing.assert_close(other_losses, losses, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(other_gradients, gradients, rtol=1e-3, atol=1e-5 * float(gradients.abs().max()))


def test_trained_alike_to_rounding_and_continued_to_the_byte(
    train_tiny: Callable[..., SavedGenerator], tmp_path: Path
) -> None:
    whole = train_tiny(tmp_path / "whole", images=16, looks=1)
    parts = train_tiny(tmp_path / "parts", images=16, looks=1, micro_batch=1)
    # It begins at zero, so all of it is what was learned. AdamW enlarges rounding where gradients are next to nothing.
    ours, theirs = (load_file(one.path / "ema.safetensors")["network.unet.conv_out.weight"] for one in (parts, whole))
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()
    losses = [
        [row["loss"] for row in json.loads((one.path / "history.json").read_text()) if "loss" in row]
        for one in (parts, whole)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)

    with stopped_at(5):
        train_tiny(tmp_path / "continued", images=16, looks=1, micro_batch=1)
    continued = train_tiny(tmp_path / "continued", images=16, looks=1, micro_batch=1)
    assert continued.manifest == parts.manifest
    for name in ("model.safetensors", "ema.safetensors", "history.json"):
        assert (continued.path / name).read_bytes() == (parts.path / name).read_bytes()


def test_the_estimate_of_time_and_memory_has_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    forward = tiny.random_generator(CLASSES).denoiser.network.__class__.forward

    def spied(self: torch.nn.Module, pairs: torch.Tensor, *more: Any) -> torch.Tensor:
        sizes.append(len(pairs))
        return forward(self, pairs, *more)

    monkeypatch.setattr(tiny.random_generator(CLASSES).denoiser.network.__class__, "forward", spied)
    seconds_an_image(DiffusionSettings(model=tiny.MODEL, batch_size=6, micro_batch=2), CLASSES, SIDE, COMPUTE, 1)
    assert sizes == [2] * 6


def test_a_part_that_is_not_finite_spoils_the_step(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    network = torch.nn.Conv2d(3, CLASSES, 1)
    before = network.weight.detach().clone()

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        for number in range(3):
            loss = network(images[2 * number : 2 * number + 2]).square().mean()
            yield loss * (float("nan") if seen == 0 and number == 1 else 1), {}

    training = Training(
        title="",
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), 0.1),
        step_loss=step_loss,
        steps=2,
        batch_size=BATCH,
        rate_at=lambda step: 0.1,
        clip=1.0,
        parts={},
    )
    assert not torch.isfinite(training.step(*batch, 0)["gradient_norm"])
    assert torch.equal(network.weight, before)
    found = training.step(*batch, 1)
    assert torch.isfinite(found["loss"]) and not torch.equal(network.weight, before)


@pytest.mark.parametrize("model", [DiffusionSettings, EnlargerSettings])
@pytest.mark.parametrize("micro_batch", [3, 16, 0])
def test_parts_that_are_not_equal_are_refused(model: type[DenoiserSettings], micro_batch: int) -> None:
    with pytest.raises(ValueError, match="must divide `batch_size` 8" if micro_batch else "greater than or equal to 1"):
        model(batch_size=8, micro_batch=micro_batch)


def test_it_identifies_a_training_only_where_it_is_set() -> None:
    """Trainings of versions that had none are still found."""
    plain, parts = DiffusionSettings(), DiffusionSettings(micro_batch=4)
    assert parts.training_identity() == {**plain.training_identity(), "micro_batch": 4}
    assert DiffusionSettings(crops=0.5).training_identity() == {**plain.training_identity(), "crops": 0.5}
    assert not {"micro_batch", "crops"} & set(re.findall(r"\w+", json.dumps(CascadeSettings().training_identity())))
    cascade = CascadeSettings(small=CascadeSettings().small.model_copy(update={"micro_batch": 2}))
    assert cascade.training_identity()["small"]["micro_batch"] == 2
