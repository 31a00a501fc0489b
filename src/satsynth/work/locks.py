"""Lock files: whether a running process holds one."""

from __future__ import annotations

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


def refuse_while_freeing(root: Path) -> None:
    """Refuse work while disk space is being freed.

    Args:
        root: Folder of all work.

    Raises:
        ResourceError: It is.
    """
    if is_held(root / ALONE, PATIENCE):
        raise ResourceError(f"`kedro satsynth prune` is freeing disk space in {root.parent}.", "Wait for it to end.")
