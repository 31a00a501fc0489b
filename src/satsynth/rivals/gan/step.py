"""One step of the GAN: image discriminator, pair discriminator, generator, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from satsynth.rivals.gan import losses
from satsynth.rivals.gan.discriminators import ImageDiscriminator, PairDiscriminator
from satsynth.rivals.gan.generator import GanGenerator
from satsynth.rivals.gan.settings import GanSettings
from satsynth.training.device import autocast
from satsynth.training.loop import Course, Guard
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX

# What a seed is used for; order and augmentation have 0 and 1.
LOSS = 2
# The mean length of paths follows with this rate, and a path costs so much that half of a batch measures it.
PATH_RATE, PATH_SHARE = 0.01, 2


class Networks(nn.Module):
    """Generator and discriminators, and the running mean of the length of paths.

    Args:
        settings: Sizes.
        side: Side of a pair in pixels.
        classes: Number of classes K.
    """

    path_length: torch.Tensor

    def __init__(self, settings: GanSettings, side: int, classes: int) -> None:
        super().__init__()
        self.generator = GanGenerator(settings.network, side, classes)
        self.of_images = ImageDiscriminator(settings.network, side)
        self.of_pairs = PairDiscriminator(settings.network, classes)
        self.register_buffer("path_length", torch.zeros(()))


def adam(network: nn.Module, rate: float, every: int | None = None) -> torch.optim.Adam:
    """Return the optimizer of a network.

    Args:
        network: The network.
        rate: Learning rate.
        every: Steps from one penalty to the next, which is a further step: rates and memory are reduced as if it were
            a part of each (Karras et al., CVPR 2020, appendix B).
    """
    share = 1.0 if every is None else every / (every + 1)
    return torch.optim.Adam(network.parameters(), rate * share, betas=(0.0, 0.99**share), fused=True)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Compute no gradients of some networks' weights in the block."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


@dataclass(kw_only=True)
class AdversarialTraining(Course):
    """The training of the three networks.

    Args:
        networks: The networks.
        optimizers: Those of ``generator``, ``of_images`` and ``of_pairs``.
        settings: How to train.
        classes: Number of classes K.
        device: Where.
        compute: How to compute.
    """

    networks: Networks
    optimizers: Mapping[str, torch.optim.Optimizer]
    settings: GanSettings
    classes: int
    device: torch.device
    compute: ComputeSettings

    def __post_init__(self) -> None:
        """Take note of the learning rates, which stay."""
        self._guard = Guard(self.device)
        self._rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()}

    def rate(self, done: int) -> float:
        """Return the learning rate."""
        return self.settings.learning_rate

    def step(self, images: torch.Tensor, masks: torch.Tensor, done: int) -> Mapping[str, torch.Tensor]:
        """Take a step of each network, and their penalties where it is their turn."""
        random = seeded(self.settings.seed, LOSS, done * self.batch_size, device=self.device)
        labels, known = losses.soft_masks(masks, self.classes), (masks != IGNORE_INDEX)[:, None]
        with torch.no_grad(), autocast(self.device, self.compute):
            drawn, of_drawn = self._draw(len(images), random)
        found = {"image_discriminator": self._image_step(images, drawn.float())}
        if self.settings.gradient_weight and done % self.settings.gradient_every == 0:
            self._penalise_gradient(images)
        found["pair_discriminator"] = self._pair_step(images, labels, drawn.float(), of_drawn.float() * known)
        loss, norm = self._generator_step(images, labels, known, random)
        if self.settings.path_weight and done % self.settings.path_every == 0:
            self._penalise_path(max(1, len(images) // PATH_SHARE), random)
        return {"loss": loss, "gradient_norm": norm, **found}

    def _draw(self, number: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return drawn images ``(B, 3, H, W)`` and probabilities of classes ``(B, K, H, W)``."""
        images, logits = self.networks.generator(*self._styles(number, random))
        return images, logits.softmax(1)

    def _styles(self, number: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return styles, perhaps those of a second latent vector from some layer on, and the noise of the layers."""
        generator = self.networks.generator
        noise = torch.randn(number, generator.noise_size, generator=random, device=self.device)
        styles = generator.styles(noise[:, : generator.latent])
        others = torch.randn(number, generator.latent, generator=random, device=self.device)
        chance = torch.rand(2, generator=random, device=self.device)
        # From which layer on; none but where the batch is mixed. Nothing is read, for which a GPU would wait.
        first = 1 + (chance[1] * (generator.layers - 1)).floor()
        mixed = (torch.arange(generator.layers, device=self.device) >= first) & (chance[0] < self.settings.mixing)
        return torch.where(mixed[:, None], generator.styles(others), styles), noise

    def _image_step(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        with autocast(self.device, self.compute):
            real, fake = self.networks.of_images(images), self.networks.of_images(drawn)
        loss = losses.logistic_discriminator(real.float(), fake.float())
        self._take("of_images", loss)
        return loss.detach()

    def _penalise_gradient(self, images: torch.Tensor) -> None:
        images = images.detach().requires_grad_()
        penalty = losses.gradient_penalty(self.networks.of_images(images), images)
        settings = self.settings
        self._take("of_images", settings.gradient_weight / 2 * settings.gradient_every * penalty)

    def _pair_step(
        self, images: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, of_drawn: torch.Tensor
    ) -> torch.Tensor:
        with autocast(self.device, self.compute):
            real, fake = self.networks.of_pairs(images, labels), self.networks.of_pairs(drawn, of_drawn)
        loss = losses.hinge_discriminator(real, fake)
        self._take("of_pairs", loss)
        return loss.detach()

    def _generator_step(
        self, images: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with frozen(self.networks.of_images, self.networks.of_pairs), autocast(self.device, self.compute):
            drawn, of_drawn = self._draw(len(images), random)
            of_images = losses.logistic_generator(self.networks.of_images(drawn).float())
            with torch.no_grad():
                real = self.networks.of_pairs(images, labels)
            loss = of_images + pair_loss(self.networks.of_pairs, real, drawn, of_drawn * known, self.settings)
            norm = self._take("generator", loss)
        return loss.detach(), norm

    def _penalise_path(self, number: int, random: torch.Generator) -> None:
        styles, noise = self._styles(number, random)
        images, _ = self.networks.generator(styles, noise)
        directions = torch.randn(images.shape, generator=random, device=self.device)
        lengths = losses.path_lengths(images, styles, directions)
        mean = self.networks.path_length.lerp(lengths.detach().mean(), PATH_RATE)
        self.networks.path_length.copy_(torch.where(torch.isfinite(mean), mean, self.networks.path_length))
        penalty = (lengths - mean).square().mean()
        self._take("generator", self.settings.path_weight * self.settings.path_every * penalty)

    def _take(self, name: str, loss: torch.Tensor) -> torch.Tensor:
        """Take a step of one network down the gradient of a loss; return its norm."""
        network: nn.Module = getattr(self.networks, name)
        return self._guard.step(self.optimizers[name], [loss], network.parameters(), self._rates[name])


def pair_loss(
    discriminator: PairDiscriminator, real: losses.Maps, images: torch.Tensor, labels: torch.Tensor, settings: Any
) -> torch.Tensor:
    """Return the loss of drawn pairs by the pair discriminator; masks learn from it, images do not.

    Images are taken as they are, so that they do not give up quality to fit their masks.

    Args:
        discriminator: The pair discriminator.
        real: Its maps for real pairs.
        images: Drawn images ``(B, 3, H, W)``.
        labels: Their probabilities of classes ``(B, K, H, W)``, zero where the real masks are ignored.
        settings: Of which `feature_weight` counts.
    """
    maps = discriminator(images.detach(), labels)
    return losses.hinge_generator(maps) + settings.feature_weight * losses.feature_matching(real, maps)
