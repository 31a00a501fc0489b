"""Whether large files still hold what was written, read once in each process."""

from __future__ import annotations

from pathlib import Path

from satsynth.work.errors import DamagedError
from satsynth.work.files import file_digest

# By device, inode, size and modification time: hard links of one file are read once.
_digests: dict[tuple[int, int, int, int], str] = {}


def verify(path: Path, sha256: str, remedy: str) -> Path:
    """Return a path if the file holds what was written; read the file at its first use in this process.

    Args:
        path: The file.
        sha256: Digest of what was written.
        remedy: What to do if it holds something else.

    Raises:
        DamagedError: The file holds something else, is not there or cannot be read.
    """
    try:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            _digests[key] = file_digest(path)
    except FileNotFoundError:
        raise DamagedError(path, "it is not there", remedy) from None
    except OSError as error:
        raise DamagedError(path, f"it cannot be read ({error})", remedy) from error
    if _digests[key] != sha256:
        how = f"its content is not what was written (SHA-256 {_digests[key][:12]} in place of {sha256[:12]})"
        raise DamagedError(path, how, remedy)
    return path
