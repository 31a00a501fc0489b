"""Lock files: whether a running process holds one, and holding one together with others."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from satsynth.work.errors import ResourceError

# A process that only checks a lock holds it for a moment.
PATIENCE = 0.5
ALONE = "alone.lock"


def is_held(file: Path, patience: float = 0.0) -> bool:
    """Return whether another holder has a lock, and for longer than ``patience`` seconds."""
    if not file.exists():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience, poll_interval=0.02)
    except Timeout:
        return True
    lock.release()
    return False


class SharedLock:
    """A lock that several processes hold together; while one of them does, no `FileLock` of the same file is given.

    Args:
        file: The lock file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock, unless a `FileLock` holds it; return whether it was taken."""
        # There is no such module on Windows.
        import fcntl

        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # A holder may have removed the file after we had opened it, and others lock a new one.
            taken = os.fstat(descriptor).st_nlink > 0
        except (BlockingIOError, PermissionError):
            taken = False
        except OSError:
            os.close(descriptor)
            raise
        if taken:
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return taken

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def refuse_while_freeing(root: Path) -> None:
    """Refuse work while disk space is being freed.

    Args:
        root: Folder of all work.

    Raises:
        ResourceError: It is.
    """
    if is_held(root / ALONE, PATIENCE):
        raise ResourceError(f"`kedro satsynth prune` is freeing disk space in {root.parent}.", "Wait for it to end.")
