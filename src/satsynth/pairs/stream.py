"""An endless, reproducible stream of augmented training pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from satsynth.pairs.augmentation import Augmentation
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mixtures import Shared, Stream
from satsynth.pairs.settings import AugmentationName
from satsynth.work.errors import ResourceError

# Uses of a seed.
ORDER, TURN, FURTHER, PARTNER, WINDOW = 0, 1, 3, 4, 7
ALL = slice(None)


class PairStream(Stream):
    """Maps a position in the training (images seen so far) to a pair. All randomness derives from (seed, position).

    Each epoch visits every pair once, in its own order. Image and mask are augmented together, by default with one of
    the 8 symmetries of the square (flips and rotations).

    Args:
        sources: The pairs, which are concatenated.
        seed: Seed of order and augmentation.
        augmentation: Name of the augmentation.
    """

    def __init__(self, sources: Sequence[DecodedPairs], seed: int, augmentation: AugmentationName = "flips") -> None:
        """Concatenate the sources."""
        self._sources = list(sources)
        self._starts = np.cumsum([0, *(len(source) for source in sources)])
        self._seed = seed
        self._augmentation = Augmentation(augmentation)
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    @property
    def pairs(self) -> int:
        """Number of distinct pairs."""
        return int(self._starts[-1])

    def _epoch_order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, ORDER, epoch]).permutation(self.pairs)

    def _pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        source = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._sources[source][number - int(self._starts[source])]

    def _random(self, *use: int) -> int:
        return int(np.random.SeedSequence([self._seed, *use]).generate_state(1)[0])

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        epoch, offset = divmod(position, self.pairs)
        augmentation = self._augmentation
        pair = augmentation.turned(*self._pair(int(self._order(epoch)[offset])), self._random(TURN, position))
        if augmentation.mix is not None:
            random = np.random.default_rng([self._seed, PARTNER, position])
            partner = self._pair(int(random.integers(self.pairs)))
            pair = augmentation.mix(*pair, *augmentation.turned(*partner, int(random.integers(2**31))), random)
        return to_tensors(*augmentation.further(*pair, self._random(FURTHER, position)))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the cache of orders, which each worker process fills itself."""
        return {key: value for key, value in self.__dict__.items() if key != "_order"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore in a worker process."""
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._epoch_order)


def training_stream(pairs: DecodedPairs, unlabelled: DecodedPairs | None, share: float, seed: int) -> Stream:
    """Return the stream on which a generator is trained: labelled pairs, with a share of unlabelled images among them.

    Args:
        pairs: Labelled pairs.
        unlabelled: Images without masks, or None.
        share: Their share, which any range of positions has to within one image.
        seed: Seed of order and augmentation of both.
    """
    labelled = PairStream([pairs], seed)
    return labelled if unlabelled is None else Shared(PairStream([unlabelled], seed), labelled, share)


class Cuts(Protocol):
    """Anything that cuts pairs at random."""

    def cut(self, random: np.random.Generator) -> tuple[np.ndarray | None, np.ndarray]:
        """Return image ``(H, W, 3)`` and mask ``(H, W)``, both uint8."""
        ...


class WindowStream(Stream):
    """An endless stream of windows, none twice.

    Args:
        windows: Cuts them, image and mask alike.
        seed: Pair i depends on it and on i alone.
    """

    def __init__(self, windows: Cuts, seed: int) -> None:
        """Keep both."""
        self._windows, self._seed = windows, seed

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64 at a position >= 0."""
        image, mask = self._windows.cut(np.random.default_rng([self._seed, WINDOW, position]))
        assert image is not None
        return to_tensors(image, mask)


def to_tensors(image: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert a pair to image ``(3, H, W)`` float32 in [-1, 1] and mask ``(H, W)`` int64."""
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32).div_(127.5).sub_(1)
    return tensor, torch.from_numpy(np.array(mask, dtype=np.int64))


def to_image(image: torch.Tensor) -> np.ndarray:
    """Convert images ``(..., 3, H, W)`` in [-1, 1] to uint8 ``(..., H, W, 3)``."""
    scaled = image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.movedim(-3, -1).cpu().numpy()


def batches(
    stream: Stream, start: int, end: int, batch_size: int, workers: int, pinned: bool, rows: slice = ALL
) -> DataLoader[Any]:
    """Return a loader of the positions ``start``..``end - 1`` in order; the number of workers does not matter.

    Args:
        stream: Where the pairs come from.
        start: The first position.
        end: The position after the last.
        batch_size: Positions of a batch.
        workers: Processes that prepare batches; 0 for this one.
        pinned: Whether batches lie in memory from which a GPU copies fast.
        rows: The rows of every batch that are loaded.
    """
    return DataLoader(
        stream,
        batch_sampler=_Positions(start, end, batch_size, rows),
        num_workers=workers,
        pin_memory=pinned,
        # Else it would draw from the random state that all threads share.
        generator=torch.Generator(),
        persistent_workers=False,
        multiprocessing_context="spawn" if workers else None,
    )


class _Positions(Sampler[list[int]]):
    """The positions of batches.

    Args:
        start: The first position.
        end: The position after the last.
        batch_size: Positions of a batch.
        rows: The rows of every batch that are wanted.
    """

    def __init__(self, start: int, end: int, batch_size: int, rows: slice) -> None:
        self._firsts, self._end, self._size, self._rows = range(start, end, batch_size), end, batch_size, rows

    def __iter__(self) -> Iterator[list[int]]:
        for first in self._firsts:
            yield list(range(first, min(first + self._size, self._end))[self._rows])

    def __len__(self) -> int:
        return len(self._firsts)


@contextmanager
def loader_deaths() -> Iterator[None]:
    """Name the death of a loader's worker process, which PyTorch reports in the middle of whatever the caller does.

    Raises:
        ResourceError: A worker process died.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ResourceError(
            f"A process that prepares training batches was killed; perhaps memory ran out. ({error})",
            "Run the same command again: the training continues from its last checkpoint. A smaller "
            "`compute.loader_workers` needs less memory; 0 prepares batches in the training process.",
        ) from error
