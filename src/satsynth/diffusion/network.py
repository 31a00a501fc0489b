"""The network: diffusers' U-Net blocks behind a space-to-depth stem."""

from __future__ import annotations

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import nn
from torch.nn import functional as F

from satsynth.diffusion.model_settings import NetworkSettings

GROUPS = 8


class StemUNet(nn.Module):
    """A U-Net that works on patches of ``stem`` x ``stem`` pixels as single positions.

    Args:
        channels: Channels of a pair, 3 + those of the label code.
        settings: Its size.
        separate: Whether it is told the noise levels of image and label channels apart.
        given: Channels of something that it is given beside the noisy pair.
    """

    def __init__(self, channels: int, settings: NetworkSettings, separate: bool = False, given: int = 0) -> None:
        """Build it with new weights."""
        super().__init__()
        self.stem, self.separate = settings.stem, separate
        levels = len(settings.widths)
        lowest = "Attn" if settings.attention else ""
        self.unet = UNet2DModel(
            in_channels=(channels + given) * settings.stem**2,
            out_channels=(settings.head or channels) * settings.stem**2,
            block_out_channels=settings.widths,
            layers_per_block=settings.layers,
            norm_num_groups=GROUPS,
            attention_head_dim=32 if settings.widths[-1] % 32 == 0 else 8,
            add_attention=settings.attention,
            class_embed_type="timestep" if separate else None,
            down_block_types=["DownBlock2D"] * (levels - 1) + [f"{lowest}DownBlock2D"],
            up_block_types=[f"{lowest}UpBlock2D"] + ["UpBlock2D"] * (levels - 1),
        )
        # With wide patches, 3 x 3 convolutions here cost as much as all those of the highest resolution.
        self.unet.conv_in = nn.Conv2d(
            self.unet.config.in_channels, settings.widths[0], settings.patch_kernel, padding="same"
        )
        self.unet.conv_out = nn.Conv2d(
            settings.widths[0], self.unet.config.out_channels, settings.patch_kernel, padding="same"
        )
        last = self.unet.conv_out
        self.head: nn.Module | None = None
        if settings.head:
            last = nn.Conv2d(settings.head, channels, 3, padding=1)
            self.head = nn.Sequential(
                nn.Conv2d(settings.head + channels + given, settings.head, 3, padding=1), nn.SiLU(), last
            )
        # The first estimate is zero, the mean of the data.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, pairs: torch.Tensor, noise: torch.Tensor, given: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``(B, C, H, W)`` and the noise conditions ``(B, 2)`` of image and labels to ``(B, C, H, W)``.

        Args:
            pairs: Noisy pairs.
            noise: Noise conditions.
            given: ``(B, G, H, W)``, where it is built for something that is given.
        """
        pairs = pairs if given is None else torch.cat([pairs, given], 1)
        pairs = pairs.contiguous(memory_format=memory_format(pairs.device))
        patches = F.pixel_unshuffle(pairs, self.stem)
        of_labels = noise[:, 1] if self.separate else None
        features = F.pixel_shuffle(self.unet(patches, noise[:, 0], of_labels, return_dict=False)[0], self.stem)
        return features if self.head is None else self.head(torch.cat([features, pairs], 1))


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the layout in which the network is fastest.

    On a CPU convolutions are, in channels_last. On an H100 group normalisation makes that a fifth slower (docs/gpu.md).
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last
