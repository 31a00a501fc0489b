"""SegDiff: a mask is drawn given its image, several times, and the draws vote.

Source: Amit et al., arXiv 2112.00390, written anew from the paper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import nn
from torch.nn import functional as F

from satsynth.pairs.codes import LabelCode
from satsynth.segmentation.losses import squared_error
from satsynth.segmentation.noising import NoiseLevels
from satsynth.training.seeds import mixed_seed, noise_source

GROUPS = 8
# How much of its gain a residual block adds, and the slope of its activations below zero.
RESIDUAL, SLOPE = 0.2, 0.2
SEEDS = 2**31


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it give; what they find is added to the input.

    Source: the residual dense block of ESRGAN, Wang et al., arXiv 1809.00219, section 3.1.

    Args:
        features: Channels in and out.
        growth: Channels that each of the first four adds.
    """

    def __init__(self, features: int, growth: int) -> None:
        """Build it with new weights."""
        super().__init__()
        widths = [growth] * 4 + [features]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(features + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, features, H, W)`` to the same."""
        *growing, last = self.convolutions
        known = x
        for convolution in growing:
            known = torch.cat([known, F.leaky_relu(convolution(known), SLOPE)], 1)
        found: torch.Tensor = x + RESIDUAL * last(known)
        return found


class ImageEncoder(nn.Module):
    """Residual blocks of three dense blocks each.

    Args:
        stem: Side in pixels of the patch that becomes one position.
        features: Channels inside.
        growth: Growth of dense blocks.
        blocks: Residual blocks.
        width: Channels that it gives.
    """

    def __init__(self, stem: int, features: int, growth: int, blocks: int, width: int) -> None:
        """Build it with new weights."""
        super().__init__()
        self.first = nn.Conv2d(3 * stem**2, features, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(DenseBlock(features, growth) for _ in range(3))) for _ in range(blocks)
        )
        self.trunk = nn.Conv2d(features, features, 3, padding=1)
        self.last = nn.Conv2d(features, width, 3, padding=1)
        self.stem = stem

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(B, 3, H, W)`` to ``(B, width, H / stem, W / stem)``."""
        first = self.first(F.pixel_unshuffle(images, self.stem))
        x = first
        for block in self.blocks:
            x = x + RESIDUAL * (block(x) - x)
        found: torch.Tensor = self.last(first + self.trunk(x))
        return found


class SegDiff(nn.Module):
    """A U-Net that predicts the noise in a mask, or the mask without it, given an image.

    An image's draws depend on its pixels and on a seed that is drawn with the weights and saved among them, so
    neither on the other images of a batch nor on what was predicted before.

    Args:
        code: How classes become channels, of amplitude 1.
        encoder: Maps images to ``(B, widths[0], H / stem, W / stem)``.
        stem: Side in pixels of the patch that becomes one position of the U-Net.
        widths: Channels at each resolution.
        layers: Residual blocks at each resolution.
        attention: How many of the lowest resolutions have self-attention.
        levels: Noise levels T.
        steps: Steps of a draw.
        votes: Draws of a prediction.
        predicts_clean: Whether it predicts the clean mask; the noise otherwise.
    """

    def __init__(
        self,
        code: LabelCode,
        encoder: nn.Module,
        *,
        stem: int,
        widths: Sequence[int],
        layers: int,
        attention: int,
        levels: int,
        steps: int,
        votes: int,
        predicts_clean: bool,
    ) -> None:
        """Build it with new weights."""
        super().__init__()
        self.code, self.encoder, self.levels = code, encoder, NoiseLevels(levels)
        self.stem, self.steps, self.votes, self.predicts_clean = stem, steps, votes, predicts_clean
        patch = code.channels * stem**2
        kinds = ["" if level < len(widths) - attention else "Attn" for level in range(len(widths))]
        self.first = nn.Conv2d(patch, widths[0], 3, padding=1)
        self.unet = UNet2DModel(
            in_channels=widths[0],
            out_channels=patch,
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            norm_num_groups=GROUPS,
            attention_head_dim=8 if any(width % 32 for width in widths) else 32,
            add_attention=attention > 0,
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
        )
        # Between its first convolution, which is outside, and all else, the image comes in.
        self.unet.conv_in = nn.Identity()
        # The first estimate is zero, the mean of noise, and between all codewords.
        nn.init.zeros_(self.unet.conv_out.weight)
        nn.init.zeros_(self.unet.conv_out.bias)
        self.seed: torch.Tensor
        self.register_buffer("seed", torch.randint(SEEDS, ()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(B, 3, H, W)`` in [-1, 1] to ``(B, K, H, W)``: how close the mean draw is to each class."""
        return self.vote(images, self.votes)

    @torch.no_grad()
    def vote(self, images: torch.Tensor, votes: int) -> torch.Tensor:
        """Return how close the mean of some draws is to each class, ``(B, K, H, W)`` float32."""
        encoded, names = self.encoder(images), [_name(image) for image in images]
        draws = torch.stack([self._draw(images, encoded, names, number) for number in range(votes)])
        with torch.autocast(images.device.type, enabled=False):
            return self.code.closeness(draws.mean(0))

    @torch.no_grad()
    def draw(self, images: torch.Tensor, number: int) -> torch.Tensor:
        """Return the draw of a number, label channels ``(B, C, H, W)`` float32 in [-1, 1]."""
        return self._draw(images, self.encoder(images), [_name(image) for image in images], number)

    def _draw(self, images: torch.Tensor, encoded: torch.Tensor, names: Sequence[int], number: int) -> torch.Tensor:
        shape = (self.code.channels, *images.shape[2:])
        noise = noise_source(mixed_seed(int(self.seed), number), names, shape, images.device)

        def estimate(noisy: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
            found = self.predict(noisy, encoded, level).float()
            return found if self.predicts_clean else self.levels.clean(noisy, level, found)

        return self.levels.draw(estimate, noise, self.steps)

    def predict(self, noisy: torch.Tensor, encoded: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return the noise in masks ``(B, C, H, W)``, or the clean masks, given encoded images and levels ``(B,)``."""
        patches = F.pixel_unshuffle(noisy, self.stem).contiguous(memory_format=torch.channels_last)
        found: torch.Tensor = self.unet(self.first(patches) + encoded, level, return_dict=False)[0]
        return F.pixel_shuffle(found, self.stem)

    def loss(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the squared error of what is predicted; noise and levels come from PyTorch's own random state.

        Args:
            images: ``(B, 3, H, W)`` in [-1, 1].
            masks: ``(B, H, W)`` of class indices, 255 = ignore.
        """
        clean = self.code.encode(masks)
        level = torch.randint(self.levels.levels, (len(masks),), device=masks.device)
        noise = torch.randn(clean.shape, device=masks.device)
        found = self.predict(self.levels.noisy(clean, level, noise), self.encoder(images), level)
        return squared_error(found, clean if self.predicts_clean else noise, masks)


class FewerVotes(nn.Module):
    """The same network with another number of draws.

    Args:
        network: The network.
        votes: Draws of a prediction.
    """

    def __init__(self, network: SegDiff, votes: int) -> None:
        """Keep both."""
        super().__init__()
        self.network, self.votes = network, votes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(B, 3, H, W)`` to ``(B, K, H, W)``."""
        return self.network.vote(images, self.votes)


def _name(image: torch.Tensor) -> int:
    """Return a number that the pixels of an image ``(3, H, W)`` in [-1, 1] decide."""
    pixels = ((image.float() + 1) * 127.5).round().to(torch.uint8).contiguous().cpu().numpy()
    return int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "big")
