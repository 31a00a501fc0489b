"""Files that are either whole or not there, and digests of their content."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from satsynth.work.errors import DamagedError, ResourceError, SatSynthError

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
# What PyTorch and safetensors say when they cannot write.
_UNWRITTEN = ("writ", "iostream error", "unexpected pos")
AGAIN = "Remove it, then run the same command again."


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into an error that says what to do.

    Writers in compiled code (PyTorch, safetensors) report a full disk by errors of their own, without its number:
    with less than 1 MiB left, any failure to write is treated as one.
    """
    try:
        yield
    except SatSynthError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EFBIG or (number is None and _limited() and _is_of_writing(error)):
            raise ResourceError(
                f"{path} would become larger than this process may make a file.",
                "Raise the limit (`ulimit -f unlimited`), then run the same command again: everything finished so far "
                "is kept.",
            ) from error
        free = shutil.disk_usage(_existing(path)).free / 2**20
        if number in (errno.ENOSPC, errno.EDQUOT) or (number is None and free < 1):
            raise ResourceError(
                f"No space is left on the disk that holds {path} ({free:.0f} MiB free).",
                "Free some space, then run the same command again: everything finished so far is kept.",
            ) from error
        if number in (errno.EACCES, errno.EROFS):
            raise ResourceError(f"{path} cannot be written: {error}.", "Give this user write access.") from error
        raise


def _is_of_writing(error: BaseException) -> bool:
    texts = (str(error), str(error.__context__ or ""))
    return any(words in text for words in _UNWRITTEN for text in texts)


def _limited() -> bool:
    """Return whether this process may not make a file as large as it likes; no such limit exists on Windows."""
    with suppress(ImportError):
        import resource

        return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    return False


def _existing(path: Path) -> Path:
    return next(folder for folder in [path, *path.parents] if folder.exists())


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; sync and rename it into place when the block succeeds.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def canonical_json(value: Any) -> str:
    """Return JSON in which equal values give equal text (keys sorted)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as canonical JSON."""
    with atomic(path) as temporary:
        temporary.write_text(canonical_json(value) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DamagedError: It holds no JSON: it is cut off, or some of it was overwritten.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(path, f"it holds no JSON ({error})", AGAIN) from None


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path) -> Path | None:
    """Give a damaged file or folder the name of something half-written, which is swept away later.

    Renamed and not removed: a kill half-way through must not leave a manifest without its files.

    Returns:
        Its new name, or None if it was not there: another process may have set it aside.
    """
    try:
        return path.rename(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"))
    except FileNotFoundError:
        return None


def place_folder(source: Path, target: Path, linked: bool = True) -> None:
    """Give the finished folder ``source`` a second name, ``target``, without copying where the file system allows.

    The files are hard-linked (copied where links fail) into a temporary folder that is then renamed, so ``target``
    is either whole or not there. An unfinished ``target`` is replaced.

    Args:
        source: The finished folder.
        target: Its second name.
        linked: Whether files may be linked; files that others may edit must be copies.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not shutil.copytree: it gathers errors into one that no longer says that the disk is full.
            temporary.mkdir()
            for entry in sorted(source.rglob("*")):
                placed = temporary / entry.relative_to(source)
                if entry.is_dir():
                    placed.mkdir()
                elif linked:
                    link_or_copy(entry, placed)
                else:
                    shutil.copyfile(entry, placed)
            if target.exists():
                shutil.rmtree(target)
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        shutil.copyfile(source, target)


class DigestCache:
    """Digests of files by content, remembered by (path, size, modification time).

    Args:
        path: The JSON file that keeps them; may be absent.
        forget: Read every file again, whatever is known.
    """

    def __init__(self, path: Path, forget: bool = False) -> None:
        """Read what is known already; a damaged file is forgotten, with a warning."""
        self._path = path
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if path.exists() and not forget:
            try:
                kept = read_json(path)
                if kept["sha256"] != digest_of(kept["files"]):
                    raise DamagedError(path, "its digest differs", AGAIN)
                self._known = kept["files"]
            except (DamagedError, KeyError, TypeError):
                log.warning("%s is damaged: all files that it lists are read again.", path)

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of the file's content, read only if size or time changed."""
        stat = path.stat()
        key, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(key)
        if known is None or known[:2] != state:
            self._known[key] = [*state, file_digest(path)]
            self._changed = True
        return str(self._known[key][2])

    def save(self) -> None:
        """Write the cache if it learned something."""
        if self._changed:
            write_json(self._path, {"files": self._known, "sha256": digest_of(self._known)})
            self._changed = False
