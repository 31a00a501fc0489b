"""The processes that do one training together.

Each has the whole network and computes its rows of every batch. Gradients are added up over all of them before a step,
so that all take the same step, whatever the optimizer, and leave out the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from satsynth.work.errors import ResourceError


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, and which of them this one is.

    Args:
        number: Number of this one, from 0. The first one writes, looks and reports.
        count: How many there are.
    """

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes, looks and reports."""
        return self.number == 0

    def rows(self, size: int) -> slice:
        """Return the rows of this process in a batch of ``size``, a multiple of the number of processes."""
        part = size // self.count
        return slice(self.number * part, (self.number + 1) * part)

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors by their sums over all processes, which are the same to the bit in each of them.

        Raises:
            LostRankError: Another process has ended.
        """
        if self.count == 1:
            return
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        try:
            distributed.all_reduce(joined)
        except RuntimeError as error:
            raise LostRankError() from error
        for tensor, total in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    @contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """Let the first process do the block before the others begin with it.

        Raises:
            LostRankError: Another process has ended.
        """
        if not self.leads:
            self._wait()
        yield
        if self.leads:
            self._wait()

    def _wait(self) -> None:
        if self.count > 1:
            try:
                distributed.barrier()
            except RuntimeError as error:
                raise LostRankError() from error


ALONE = Ranks()


class LostRankError(ResourceError):
    """A process of a training has ended in the middle of it.

    Args:
        how: How it ended, as far as it is known.
    """

    def __init__(self, how: str = "ended without a message") -> None:
        super().__init__(
            f"A process of the training {how}; perhaps memory ran out.",
            "Run the same command again: the training continues from its last checkpoint, also with another "
            "`compute.processes`.",
        )
        self.how = how

    def __reduce__(self) -> tuple[type[LostRankError], tuple[str]]:
        """Survive pickling: the processes of a training raise it."""
        return type(self), (self.how,)
