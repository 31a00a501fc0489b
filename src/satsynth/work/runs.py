"""Runs in progress in a project: they announce themselves, and disk space is freed only when there are none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from satsynth.work.errors import ResourceError, listing
from satsynth.work.files import disk_errors
from satsynth.work.locks import ALONE, PATIENCE, is_held, refuse_while_freeing

_RUNS = "runs"


class RunLock:
    """Announces this process as a run until it is released or the process ends, however that happens.

    Args:
        root: Folder of all work.
    """

    def __init__(self, root: Path) -> None:
        """Name the lock; nothing is made yet."""
        self._root = root
        self._lock = FileLock(root / _RUNS / f"process {os.getpid()} on {socket.gethostname()}.lock")

    def acquire(self) -> None:
        """Announce the run.

        Raises:
            ResourceError: Disk space is being freed, or nothing can be written there.
        """
        if self._lock.is_locked:
            return
        with disk_errors(self._root):
            (self._root / _RUNS).mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=PATIENCE, poll_interval=0.02)
        try:
            refuse_while_freeing(self._root)
        except ResourceError:
            self.release()
            raise

    def release(self) -> None:
        """Take the announcement back."""
        if self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Lock a project's work folder for this process: no run is in progress there and none can start.

    Args:
        root: Folder of all work.

    Raises:
        ResourceError: A running process is working there.
    """
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ALONE)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=0.02)
    except Timeout:
        raise ResourceError(f"Another process is freeing disk space in {root.parent}.", "Wait for it to end.") from None
    try:
        # Our lock is held by now: a run that announces itself later is refused, an earlier one is seen.
        if busy := at_work(root):
            raise ResourceError(
                f"{len(busy)} process(es) are working in {root.parent}:\n{listing(busy)}",
                "Wait for them to end, or stop them: what they have done so far is kept.",
            )
        # Left by killed runs; a run that starts at this moment is refused anyway.
        for stale in (root / _RUNS).glob("*.lock"):
            stale.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def at_work(root: Path) -> list[str]:
    """Return which processes hold a lock below the folder of all work, in words."""
    busy = [file.stem for file in sorted((root / _RUNS).glob("*.lock")) if is_held(file)]
    for file in sorted(root.glob("*/*.lock")):
        if file.parent.name != _RUNS and is_held(file):
            holder = file.with_suffix(".holder")
            who = holder.read_text(encoding="utf-8").strip() if holder.exists() else "a process"
            busy.append(f"{who}, on the step '{file.parent.name}'")
    return busy
