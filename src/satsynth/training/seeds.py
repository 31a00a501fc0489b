"""Everything random derives from a seed and a count, never from what was drawn before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

_SHARED = threading.RLock()


def mixed_seed(*numbers: int) -> int:
    """Return a 63-bit seed that mixes several numbers."""
    low, high = np.random.SeedSequence(list(numbers)).generate_state(2)
    return (int(high) << 31 ^ int(low)) & (2**63 - 1)


def generator(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on a device, seeded by several numbers."""
    return torch.Generator(device).manual_seed(mixed_seed(*numbers))


@contextmanager
def shared_random_state(*numbers: int) -> Iterator[None]:
    """Seed PyTorch's own random state, which layers draw from, and keep other threads from using it in the block.

    Whatever draws from it belongs into such a block, also where it does not matter what it draws: it would take numbers
    from a block of another thread. The state on the CPU is afterwards what it was before.

    Args:
        numbers: What the seed is mixed from; a single one is the seed.
    """
    with _SHARED:
        before = torch.get_rng_state()
        torch.manual_seed(numbers[0] if len(numbers) == 1 else mixed_seed(*numbers))
        try:
            yield
        finally:
            torch.set_rng_state(before)


def noise_source(
    seed: int, numbers: Iterable[int], shape: tuple[int, ...], device: torch.device | str = "cpu"
) -> Callable[[], torch.Tensor]:
    """Return a function that gives new standard normal noise at each call, independent for each number.

    Args:
        seed: Seed of the whole set.
        numbers: N numbers, for example of pairs.
        shape: Shape of one draw.
        device: Where it is drawn; another device draws other noise.

    Returns:
        A function that gives ``(N, *shape)`` float32; on one device, row i of call j depends only on (seed, number
        i, j), so not on the batch size.
    """
    randoms = [generator(seed, number, device=device) for number in numbers]
    return lambda: torch.stack([torch.randn(shape, generator=random, device=device) for random in randoms])
