"""Label codes: class indices as channels and back.

Decided here once: a pixel to be ignored is encoded as zeros, which lies between all codewords and says nothing, and
takes no part in the loss of the label channels; its image channels do. Decoding takes the nearest codeword, so neither
"ignore" nor an unused code can come out. The code `none` has no channels, and all that it decodes is "ignore".
"""

from __future__ import annotations

import torch

from satsynth.work.ignore import IGNORE_INDEX


class LabelCode:
    """A ``K x C`` codebook of entries -scale and +scale.

    Args:
        kind: ``bits`` (binary digits of the index, most significant first), ``one_hot``, or ``none``: images alone.
        classes: Number of classes K >= 2.
        scale: Amplitude of the channels.

    Source: analog bits, Chen et al., arXiv 2208.04202; one-hot for comparison.
    """

    def __init__(self, kind: str, classes: int, scale: float) -> None:
        """Make the codebook."""
        if kind == "bits":
            channels = (classes - 1).bit_length()
            shifts = torch.arange(channels - 1, -1, -1)
            signs = (torch.arange(classes)[:, None] >> shifts) & 1
        elif kind == "one_hot":
            signs = torch.eye(classes, dtype=torch.int64)
        elif kind == "none":
            signs = torch.zeros(classes, 0, dtype=torch.int64)
        else:
            raise ValueError(f"no label code '{kind}'; there are 'bits', 'one_hot' and 'none'")
        self.scale = scale
        self.codebook = (signs.float() * 2 - 1) * scale
        self._tables: dict[torch.device, torch.Tensor] = {}

    def _table(self, device: torch.device) -> torch.Tensor:
        """Return the codebook and a row of zeros on a device; kept there, since each copy would make a GPU wait."""
        if device not in self._tables:
            self._tables[device] = torch.cat([self.codebook, torch.zeros(1, self.channels)]).to(device)
        return self._tables[device]

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return self.codebook.shape[1]

    def encode(self, mask: torch.Tensor) -> torch.Tensor:
        """Return ``(B, C, H, W)`` float32 for a mask ``(B, H, W)`` int64 of 0..K-1 or 255 = ignore."""
        rows = torch.where(mask == IGNORE_INDEX, len(self.codebook), mask)
        return self._table(mask.device)[rows].movedim(-1, 1)

    def closeness(self, channels: torch.Tensor) -> torch.Tensor:
        """Return how close channels ``(B, C, H, W)`` are to each codeword, ``(B, K, H, W)``; most for the nearest."""
        codebook = self._table(channels.device)[:-1].to(channels.dtype)
        # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |c| is the same for all codewords of a code of +-scale.
        return torch.einsum("bchw,kc->bkhw", channels, codebook)

    def decode(self, channels: torch.Tensor) -> torch.Tensor:
        """Return the nearest codeword's index, ``(B, H, W)`` int64, for channels ``(B, C, H, W)``."""
        if not self.channels:
            size = (len(channels), *channels.shape[2:])
            return torch.full(size, IGNORE_INDEX, dtype=torch.int64, device=channels.device)
        return self.closeness(channels).argmax(1)
