"""Records beside single files, which have no manifest: what was written, and more that belongs to it.

The record of ``<entry>/<version>/<entry>`` is ``<entry>/<version>/made.json``, that of a file without versions
``.made/<name>.json`` beside it. A file without a record is as good as its format: it was written before records were
kept, or its writer was killed at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from satsynth.work.errors import DamagedError
from satsynth.work.files import atomic, digest_of, file_digest, read_json, write_json

RECORD, RECORDS = "made.json", ".made"


def record_path(path: Path) -> Path:
    """Return where the record of a file is kept."""
    if path.parent.parent.name == path.name:
        return path.parent / RECORD
    return path.parent / RECORDS / f"{path.name}.json"


@contextmanager
def recorded(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `atomic` does, and record what was written once it is in place.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    record = record_path(path)
    with atomic(path) as temporary:
        yield temporary
        sha256 = file_digest(temporary)
        # A kill between the two renames leaves a file without a record, never one with the record of another.
        record.unlink(missing_ok=True)
    _write(record, {"sha256": sha256})


def add_to_record(path: Path, entries: Mapping[str, Any]) -> None:
    """Add entries to the record of a file that was just written."""
    record = record_path(path)
    _write(record, {**read_record(path), **entries})


def read_record(path: Path, remedy: str = "Make the file again.") -> dict[str, Any]:
    """Return the record of a file, its digest left out; empty if there is none.

    Raises:
        DamagedError: The record is not what was written.
    """
    record = record_path(path)
    if not record.exists():
        return {}
    try:
        kept = dict(read_json(record))
    except DamagedError as error:
        raise DamagedError(record, error.how, remedy) from None
    except (TypeError, ValueError):
        raise DamagedError(record, "it holds no record", remedy) from None
    digest = kept.pop("digest", "")
    if digest != digest_of(kept):
        raise DamagedError(record, "its content does not fit its digest", remedy)
    return kept


def unchanged(path: Path, remedy: str) -> Path:
    """Return the path of a file that holds what was written, or that has no record.

    Args:
        path: The file.
        remedy: What to do if it holds something else.

    Raises:
        DamagedError: It holds something else, or its record is damaged.
        FileNotFoundError: It is not there.
    """
    wanted = read_record(path, remedy).get("sha256")
    try:
        found = file_digest(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(path, f"it cannot be read ({error})", remedy) from error
    if wanted not in (None, found):
        how = f"its content is not what was written (SHA-256 {found[:12]} in place of {wanted[:12]})"
        raise DamagedError(path, how, remedy)
    return path


def _write(record: Path, content: Mapping[str, Any]) -> None:
    write_json(record, {**content, "digest": digest_of(content)})
