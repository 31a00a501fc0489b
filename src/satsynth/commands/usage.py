"""How much disk space files take where hard links give one file several names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Disk space in bytes.

    Args:
        apparent: What all names would take as files of their own.
        real: Each file once.
        alone: Files that have no name elsewhere: what removing all of these names frees.
    """

    apparent: int
    real: int
    alone: int


def usage(paths: Iterable[Path]) -> Usage:
    """Return the space that files and folders take; links to elsewhere are not followed, what vanishes is left out."""
    apparent = 0
    seen: dict[tuple[int, int], int] = {}
    files: dict[tuple[int, int], os.stat_result] = {}
    for path in paths:
        for status in _statuses(path):
            apparent += status.st_blocks * 512
            key = (status.st_dev, status.st_ino)
            files[key] = status
            seen[key] = seen.get(key, 0) + 1
    real = {key: status.st_blocks * 512 for key, status in files.items()}
    alone = sum(size for key, size in real.items() if seen[key] >= files[key].st_nlink)
    return Usage(apparent, sum(real.values()), alone)


def _statuses(path: Path) -> Iterator[os.stat_result]:
    try:
        status = path.lstat()
        if path.is_symlink() or not path.is_dir():
            yield status
            return
        entries = list(path.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        yield from _statuses(entry)


def size(number: int) -> str:
    """Return a number of bytes in words."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
