"""Losses of one batch, of both kinds of diffusion models that are trained."""

from __future__ import annotations

from typing import Protocol

import torch

import tiny
from satsynth.diffusion.cascade.enlarger import Enlarger
from satsynth.diffusion.cascade.enlarging import enlarging_step
from satsynth.diffusion.cascade.settings import EnlargerSettings
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.settings import DiffusionSettings, TaskSettings
from satsynth.training.loop import StepLoss
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.settings import ComputeSettings

CLASSES, BATCH, SIDE = 4, 6, 32
CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")


class Losses(Protocol):
    """Return a model and its losses."""

    def __call__(self, micro_batch: int | None, ranks: Ranks = ALONE) -> tuple[Generator, StepLoss]: ...


def joint(micro_batch: int | None, ranks: Ranks = ALONE, crops: float = 0.0) -> tuple[Generator, StepLoss]:
    """Return a generator and its losses."""
    generator = tiny.random_generator(CLASSES, tiny.SEPARATE)
    tasks = TaskSettings(joint=0.5, image=0.3, mask=0.2)
    settings = DiffusionSettings(
        model=tiny.SEPARATE, tasks=tasks, batch_size=BATCH, micro_batch=micro_batch, crops=crops
    )
    return generator, denoising_step(generator, settings, CPU, COMPUTE, True, ranks)


def quartered(micro_batch: int | None, ranks: Ranks = ALONE) -> tuple[Generator, StepLoss]:
    """Return a generator and its losses, where nine of ten steps see quarters of their tiles."""
    return joint(micro_batch, ranks, 0.9)


def enlarging(micro_batch: int | None, ranks: Ranks = ALONE) -> tuple[Generator, StepLoss]:
    """Return an enlarger and its losses."""
    torch.manual_seed(3)
    settings = EnlargerSettings(batch_size=BATCH, micro_batch=micro_batch)
    enlarger = Enlarger(settings.model, CLASSES)
    return enlarger, enlarging_step(enlarger, 2, settings, CPU, COMPUTE, True, ranks)


LOSSES: list[Losses] = [joint, quartered, enlarging]
