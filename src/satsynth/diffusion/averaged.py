"""What trainings of diffusion models share: optimizer, averaged weights among which the looks choose, speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from satsynth.diffusion.settings import DenoiserSettings
from satsynth.training.best import BestWeights
from satsynth.training.device import seconds_a_step
from satsynth.training.ema import MovingAverage
from satsynth.training.loop import StepLoss, Training, look_points, warm_cosine
from satsynth.training.muon import Muon
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.seeds import generator as seeded


def optimizer_for(network: nn.Module, settings: DenoiserSettings) -> torch.optim.Optimizer:
    """Return the optimizer of a network."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    return Muon(network.parameters(), rate, decay, betas=(0.9, 0.99))


@dataclass(frozen=True)
class AveragedTraining:
    """The training of a denoiser, whose averaged weights are looked at and kept.

    Args:
        training: The training.
        average: The averaged weights.
        best: Those with the smallest error on held-out pairs.
        keep: Which of them are kept: `last` or `best`.
    """

    training: Training
    average: MovingAverage
    best: BestWeights
    keep: str

    @property
    def kept(self) -> dict[str, torch.Tensor]:
        """The weights to keep."""
        return self.best.weights if self.keep == "best" else self.average.module.state_dict()


def averaged_training(
    title: str,
    network: nn.Module,
    settings: DenoiserSettings,
    step_loss: StepLoss,
    look: Callable[[nn.Module, int], Mapping[str, float]],
    ranks: Ranks = ALONE,
) -> AveragedTraining:
    """Return the training of a network, not begun.

    Args:
        title: What is shown beside the progress.
        network: The network, on its device.
        settings: How it is trained.
        step_loss: Losses of the parts of one batch.
        look: Measures the network of averaged weights after a number of steps; ``val_error`` decides which are best.
        ranks: The processes that train it, of which the first one looks.
    """
    average, best = MovingAverage(network, settings.ema), BestWeights()
    optimizer, steps = optimizer_for(network, settings), max(1, settings.images // settings.batch_size)
    looks = look_points(0, steps, settings.looks)

    def after_step(done: int) -> Mapping[str, float]:
        average.update_parameters(network)
        if done not in looks or not ranks.leads:
            return {}
        errors = look(average.module, done)
        best.offer(-errors["val_error"], done, average.module)
        return errors

    training = Training(
        title=title,
        network=network,
        optimizer=optimizer,
        step_loss=step_loss,
        steps=steps,
        batch_size=settings.batch_size,
        rate_at=warm_cosine(settings.learning_rate, steps, min(100, max(1, steps // 10))),
        clip=settings.clip,
        parts={"network": network, "optimizer": optimizer, "average": average, "best": best},
        after_step=after_step,
        ranks=ranks,
    )
    return AveragedTraining(training, average, best, settings.keep)


def seconds_on_noise(
    optimizer: torch.optim.Optimizer,
    step_loss: StepLoss,
    batch_size: int,
    side: int,
    device: torch.device,
    steps: int,
) -> float:
    """Return how long steps of an optimizer take for each image, on images of noise.

    Args:
        optimizer: The optimizer.
        step_loss: As in `satsynth.training.loop.Training`.
        batch_size: Images a step.
        side: Their side in pixels.
        device: Where.
        steps: Steps that are timed, after one that is not.
    """
    images = torch.rand((batch_size, 3, side, side), generator=seeded(0, device=device), device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    masks = torch.zeros((batch_size, side, side), dtype=torch.int64, device=device)

    def one(step: int) -> None:
        for loss, _ in step_loss(images, masks, step):
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return seconds_a_step(one, device, steps) / batch_size
