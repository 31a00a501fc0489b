"""An endless, repeatable stream of augmented training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import albumentations as A
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from satsynth.pairs.cache import DecodedPairs


class PairStream(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Maps a position in the training (images seen so far) to a pair; everything random derives from (seed, position).

    Each epoch visits every pair once in an order of its own. Image and mask are flipped and rotated together, by one of
    the 8 symmetries of the square.

    Args:
        sources: The pairs, as one union.
        seed: Seed of order and augmentation.
        augment: Whether to flip and rotate.
    """

    def __init__(self, sources: Sequence[DecodedPairs], seed: int, augment: bool = True) -> None:
        """Lay the sources end to end."""
        self._sources = list(sources)
        self._starts = np.cumsum([0, *(len(source) for source in sources)])
        self._seed = seed
        self._transform = A.Compose([A.D4(p=1.0)]) if augment else None
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    @property
    def pairs(self) -> int:
        """Number of distinct pairs."""
        return int(self._starts[-1])

    def _epoch_order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, 0, epoch]).permutation(self.pairs)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        epoch, offset = divmod(position, self.pairs)
        number = int(self._order(epoch)[offset])
        source = int(np.searchsorted(self._starts, number, side="right")) - 1
        local = number - int(self._starts[source])
        image, mask = self._sources[source][local]
        if self._transform is not None:
            self._transform.set_random_seed(int(np.random.SeedSequence([self._seed, 1, position]).generate_state(1)[0]))
            both = self._transform(image=image, mask=mask)
            image, mask = both["image"], both["mask"]
        return to_tensors(image, mask)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cache of orders behind: worker processes fill their own."""
        return {key: value for key, value in self.__dict__.items() if key != "_order"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore in a worker process."""
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._epoch_order)


def to_tensors(image: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a pair as image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64."""
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32).div_(127.5).sub_(1)
    return tensor, torch.from_numpy(np.array(mask, dtype=np.int64))


def to_image(image: torch.Tensor) -> np.ndarray:
    """Return images ``(..., 3, H, W)`` in [-1, 1] as uint8 ``(..., H, W, 3)``."""
    scaled = image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.movedim(-3, -1).cpu().numpy()


def batches(stream: PairStream, start: int, end: int, batch_size: int, workers: int, pinned: bool) -> DataLoader[Any]:
    """Return a loader of the positions ``start``..``end - 1`` in order; workers do not change what it gives."""
    return DataLoader(
        stream,
        batch_size=batch_size,
        sampler=range(start, end),
        num_workers=workers,
        pin_memory=pinned,
        persistent_workers=False,
        multiprocessing_context="spawn" if workers else None,
    )
