"""Noise on masks and its removal, in the discrete levels of DDPM."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

# The range of variances, for 1000 levels; with fewer of them each adds more, so that the last is noise all the same.
FIRST, LAST, LEVELS = 1e-4, 0.02, 1000


class NoiseLevels:
    """A linear table of variances.

    Args:
        levels: Number of levels T >= 20.

    Source: Ho et al., arXiv 2006.11239; for other T than 1000, Nichol and Dhariwal's code for arXiv 2102.09672.
    """

    def __init__(self, levels: int) -> None:
        """Make the table."""
        scale = LEVELS / levels
        betas = torch.linspace(FIRST * scale, LAST * scale, levels, dtype=torch.float64)
        # abar_t, the share of the variance that is not noise.
        self._kept = torch.cumprod(1 - betas, 0)
        self._tables: dict[torch.device, torch.Tensor] = {}

    @property
    def levels(self) -> int:
        """Number of levels T."""
        return len(self._kept)

    def noisy(self, clean: torch.Tensor, level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return ``sqrt(abar_t) clean + sqrt(1 - abar_t) noise``.

        Args:
            clean: ``(B, C, H, W)``.
            level: t of each, ``(B,)`` int64 of 0..T-1.
            noise: ``(B, C, H, W)`` standard normal.
        """
        kept = self._kept_at(level)
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    def clean(self, noisy: torch.Tensor, level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return what is clean where the noise is known; the arguments are those of `noisy`."""
        kept = self._kept_at(level)
        return (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()

    def _kept_at(self, level: torch.Tensor) -> torch.Tensor:
        if level.device not in self._tables:
            # Kept there, since each copy would make a GPU wait.
            self._tables[level.device] = self._kept.float().to(level.device)
        return self._tables[level.device][level][:, None, None, None]

    def chosen(self, steps: int) -> list[int]:
        """Return ``steps`` falling levels, evenly spread, the largest among them."""
        spread = torch.linspace(self.levels, 0, steps + 1, dtype=torch.float64)[:-1]
        return [int(level) - 1 for level in spread.round()]

    def draw(
        self,
        estimate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        noise: Callable[[], torch.Tensor],
        steps: int,
    ) -> torch.Tensor:
        """Draw from the reverse process: each step from the posterior given the estimate of what is clean.

        Estimates are kept within [-1, 1], the range of what is drawn.

        Args:
            estimate: Returns what is clean in ``(B, C, H, W)`` at levels ``(B,)``.
            noise: Gives new standard normal noise ``(B, C, H, W)``; called once a step.
            steps: Number of levels, evenly spread; T for all.

        Returns:
            ``(B, C, H, W)`` in [-1, 1].

        Source: Ho et al., arXiv 2006.11239, equations 6 and 7, with the variances of the steps taken.
        """
        x, chosen = noise(), self.chosen(steps)
        for level, after in pairwise([*chosen, -1]):
            clean = estimate(x, torch.full((len(x),), level, device=x.device)).clamp(-1, 1)
            if after < 0:
                break
            kept, later = float(self._kept[level]), float(self._kept[after])
            step = kept / later
            mean = (later**0.5 * (1 - step) * clean + step**0.5 * (1 - later) * x) / (1 - kept)
            x = mean + ((1 - step) * (1 - later) / (1 - kept)) ** 0.5 * noise()
        return clean
