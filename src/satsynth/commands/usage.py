"""Disk usage of files that may have several names through hard links."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Disk space in bytes.

    Args:
        apparent: Size if every name were a file of its own.
        real: Size with each file counted once.
        exclusive: Size of files without a name elsewhere, which removing all these names frees.
    """

    apparent: int
    real: int
    exclusive: int


def usage(paths: Iterable[Path]) -> Usage:
    """Return the disk usage of files and folders, without following links. Files that disappear are ignored."""
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
    exclusive = sum(size for key, size in real.items() if seen[key] >= files[key].st_nlink)
    return Usage(apparent, sum(real.values()), exclusive)


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
    """Return a number of bytes as text with a unit."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
