"""Everything random derives from a seed and a count, never from what was drawn before."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch


def mixed_seed(*numbers: int) -> int:
    """Return a 63-bit seed that mixes several numbers."""
    low, high = np.random.SeedSequence(list(numbers)).generate_state(2)
    return (int(high) << 31 ^ int(low)) & (2**63 - 1)


def generator(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on a device, seeded by several numbers."""
    return torch.Generator(device).manual_seed(mixed_seed(*numbers))


def noise_for(seed: int, numbers: Iterable[int], shape: tuple[int, ...]) -> torch.Tensor:
    """Return standard normal noise, one independent draw for each number.

    Args:
        seed: Seed of the whole set.
        numbers: N numbers, for example of pairs.
        shape: Shape of one draw.

    Returns:
        ``(N, *shape)`` float32 on the CPU; row i depends on (seed, number i) alone, so on no batch size.
    """
    return torch.stack([torch.randn(shape, generator=generator(seed, number)) for number in numbers])
