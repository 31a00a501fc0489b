"""What a denoiser is asked in a step of its training: noise levels by task, and the loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from satsynth.diffusion.denoiser import IMAGE_CHANNELS, both_levels, by_channel
from satsynth.diffusion.generator import CLEAN, UNKNOWN, Generator
from satsynth.diffusion.network import memory_format
from satsynth.diffusion.preconditionings import ddpm_sigmas
from satsynth.diffusion.settings import DenoiserSettings, NoiseSettings, TaskSettings
from satsynth.training.device import autocast
from satsynth.training.loop import PartLoss, StepLoss
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX

# What a seed is used for; order and augmentation have 0 and 1.
LOSS = 2


def draw_sigmas(noise: NoiseSettings, size: int, random: torch.Generator) -> torch.Tensor:
    """Return noise levels ``(size,)``, one draw from each of ``size`` equally likely strata of their distribution."""
    spread = torch.arange(size, device=random.device) + torch.rand(size, generator=random, device=random.device)
    uniform = (spread / size).clamp(1e-5, 1 - 1e-5)
    if noise.kind == "ddpm":
        table = ddpm_sigmas(random.device).float()
        return table[(uniform * len(table)).long()]
    return (noise.mean + noise.std * torch.special.ndtri(uniform)).exp()


def draw_levels(noise: NoiseSettings, tasks: TaskSettings, size: int, random: torch.Generator) -> torch.Tensor:
    """Return noise levels ``(size, 2)`` of image and label channels, for tasks in their shares."""
    sigma = draw_sigmas(noise, size, random)
    if tasks.joint == 1:
        return both_levels(sigma)
    other = draw_sigmas(noise, size, random)[torch.randperm(size, generator=random, device=random.device)]
    spread = torch.randperm(size, generator=random, device=random.device)
    place = (spread + torch.rand(size, generator=random, device=random.device)) / size
    image_ends, mask_ends = tasks.joint + tasks.image, tasks.joint + tasks.image + tasks.mask
    given_mask, no_image = (place >= tasks.joint) & (place < image_ends), (place >= image_ends) & (place < mask_ends)
    of_image = torch.where(no_image, UNKNOWN, sigma)
    of_labels = torch.where(given_mask, CLEAN, torch.where(place >= mask_ends, other, sigma))
    return torch.stack([of_image, of_labels], 1)


def unknown_masks(levels: torch.Tensor, unlabelled: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return noise levels for a batch some of whose images have no mask: their masks are at the highest level.

    Args:
        levels: ``(B, 2)`` of `draw_levels`.
        unlabelled: ``(B,)`` bool.
        random: Where the draw comes from.
    """
    # Levels rise along a batch, in which unlabelled images always have the same places.
    levels = levels[torch.randperm(len(levels), generator=random, device=random.device)]
    of_image = torch.where(levels[:, 0] == UNKNOWN, levels[:, 1], levels[:, 0])
    image_only = torch.stack([of_image, torch.full_like(of_image, UNKNOWN)], 1)
    return torch.where(unlabelled[:, None], image_only, levels)


def all_ignored(masks: torch.Tensor) -> torch.Tensor:
    """Return which masks ``(B, H, W)`` have no class anywhere, ``(B,)`` bool."""
    return (masks == IGNORE_INDEX).flatten(1).all(1)


def batch_levels(
    settings: DenoiserSettings,
    masks: torch.Tensor,
    unlabelled: bool,
    random: torch.Generator,
    ranks: Ranks = ALONE,
    shuffled: bool = False,
) -> torch.Tensor:
    """Return noise levels ``(B, 2)`` for a batch of masks ``(B, H, W)``.

    Args:
        settings: How the denoiser is trained.
        masks: Class indices, 255 = ignore.
        unlabelled: Whether pairs of which all pixels are ignored are images without masks.
        random: Where the draws come from: the same for all processes, which draw for the whole batch.
        ranks: The processes among which the rows of the batch are dealt out; ``masks`` are those of this one.
        shuffled: Whether levels are in no order; else they rise along the batch, and neighbours have like ones.
    """
    size = len(masks) * ranks.count
    rows, levels = ranks.rows(size), draw_levels(settings.noise, settings.tasks, size, random)
    if shuffled:
        levels = levels[torch.randperm(size, generator=random, device=random.device)]
    if unlabelled:
        without = torch.zeros(size, dtype=torch.bool, device=masks.device)
        without[rows] = all_ignored(masks)
        levels = unknown_masks(levels, without, random)
    return levels[rows]


def joint_loss(
    generator: Generator,
    images: torch.Tensor,
    masks: torch.Tensor,
    sigma: torch.Tensor,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the weighted squared error of the denoiser, and its parts for images and labels.

    Args:
        generator: The generator.
        images: ``(B, 3, H, W)`` in [-1, 1].
        masks: ``(B, H, W)`` of class indices, 255 = ignore; ignored pixels take no part in the loss of label channels.
        sigma: ``(B,)`` noise levels, or ``(B, 2)``, those of image and label channels; what is clean has no loss.
        noise: ``(B, 3 + C, H, W)`` standard normal.
    """
    clean, levels = generator.join(images, masks), both_levels(sigma)
    estimate = generator.denoiser(clean + by_channel(levels, generator.channels) * noise, levels)
    weight = generator.denoiser.preconditioning.weight(levels) * (levels != CLEAN)
    weight = by_channel(weight, generator.channels)
    error = weight * (estimate - clean).square()
    image_error = error[:, :IMAGE_CHANNELS].mean()
    if generator.channels == IMAGE_CHANNELS:
        return image_error, {"loss_image": image_error.detach()}
    label_error = (error[:, IMAGE_CHANNELS:] * (masks != IGNORE_INDEX)[:, None]).mean()
    share = IMAGE_CHANNELS / generator.channels
    loss = share * image_error + (1 - share) * label_error
    return loss, {"loss_image": image_error.detach(), "loss_label": label_error.detach()}


def in_parts(size: int, most: int | None) -> list[slice]:
    """Return the rows of the parts of a batch: of up to ``most`` rows each, or all in one."""
    step = most or size
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]


def in_quarters(step: int, share: float) -> bool:
    """Return whether a step of training, counted from 0, is one of the share that see quarters of their tiles."""
    return int((step + 1) * share) > int(step * share)


def quarters(batch: torch.Tensor) -> torch.Tensor:
    """Cut a batch ``(B, ..., H, W)`` in four: ``(4 B, ..., H/2, W/2)``, the quarters of a tile one after another."""
    cut = batch.unflatten(-2, (2, -1)).unflatten(-1, (2, -1))
    return cut.movedim((-4, -2), (1, 2)).flatten(0, 2)


def weighted(found: tuple[torch.Tensor, dict[str, torch.Tensor]], share: float) -> PartLoss:
    """Return what a part of a batch adds to its mean loss, and to the scalars beside it.

    Args:
        found: What `joint_loss` returns for the part.
        share: The part's share of the batch.
    """
    loss, details = found
    return loss * share, {name: value * share for name, value in details.items()}


def denoising_step(
    generator: Generator,
    settings: DenoiserSettings,
    device: torch.device,
    compute: ComputeSettings,
    unlabelled: bool = False,
    ranks: Ranks = ALONE,
) -> StepLoss:
    """Return the losses of one batch, for a `Training`; its noise depends only on (seed, images seen).

    In the share `crops` of the steps, pairs are cut in quarters. A batch is computed in parts of `micro_batch` pairs.
    All noise of the batch is drawn before the first of them, in each process: the same, however the batch is dealt out.

    Args:
        generator: The generator.
        settings: How it is trained.
        device: Where.
        compute: How to compute.
        unlabelled: Whether pairs of which all pixels are ignored are images without masks.
        ranks: The processes among which the rows of the batch are dealt out.
    """

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        random, most = seeded(settings.seed, LOSS, seen, device=device), settings.micro_batch
        cut = in_quarters(seen // (len(images) * ranks.count), settings.crops)
        if cut:
            images, masks = quarters(images).contiguous(memory_format=memory_format(device)), quarters(masks)
            most = most and 4 * most
        size = len(images) * ranks.count
        levels = batch_levels(settings, masks, unlabelled, random, ranks, shuffled=cut)
        shape = (size, generator.channels, *images.shape[2:])
        noise = torch.randn(shape, generator=random, device=device)[ranks.rows(size)]
        noise = noise.contiguous(memory_format=memory_format(device))
        for rows in in_parts(len(images), most):
            with autocast(device, compute):
                found = joint_loss(generator, images[rows], masks[rows], levels[rows], noise[rows])
            yield weighted(found, len(images[rows]) / size)

    return step_loss
