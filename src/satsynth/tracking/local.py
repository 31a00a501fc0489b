"""MLflow's file in the project: its address, its first opening, and its move with the project."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from glob import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

# SQLAlchemy reads these in an address, and does so differently in each of its versions.
_SPECIAL = frozenset("?%#")
_PREFIX, _NEW = "sqlite:///", ".new"
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def file_uri(file: Path) -> str:
    """Return the tracking URI of a SQLite file.

    Args:
        file: Its absolute path. Where that has characters with a meaning in URIs, the URI is relative to the current
            folder.
    """
    if _SPECIAL & set(str(file)):
        return f"{_PREFIX}{os.path.relpath(file)}"
    return f"{_PREFIX}{file}"


def file_of(uri: str) -> Path | None:
    """Return the file of a tracking URI as `file_uri` writes it; None for all others."""
    return Path(uri.removeprefix(_PREFIX)).absolute() if uri.startswith(_PREFIX) and "?" not in uri else None


@contextmanager
def opening(uri: str, artifacts: Path, patience: float) -> Iterator[None]:
    """Let one process after the other open the file, which makes its tables, and adapt it to the project's folder.

    Args:
        uri: Tracking URI; for a server nothing is done.
        artifacts: Folder of artifacts.
        patience: Seconds to wait for other processes.
    """
    file = file_of(uri)
    if file is None:
        yield
        return
    lock = FileLock(file.with_name(f"{file.name}.lock"))
    try:
        lock.acquire(patience)
    except (Timeout, OSError):
        # Better without the others' consent than not at all.
        yield
        return
    try:
        if not file.exists():
            make_whole(file)
        elif file.is_file() and file.parent == artifacts.parent:
            follow(file, artifacts)
        yield
    finally:
        lock.release()


def make_whole(file: Path) -> None:
    """Make MLflow's file with all its tables at once: with some of them, as a killed run leaves it, none can open it.

    Args:
        file: The file, which is not there yet.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in file.parent.glob(f"{escape(file.name)}.*{_NEW}*"):
        left.unlink(missing_ok=True)
    new = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}{_NEW}")
    SqlAlchemyStore(file_uri(new), DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
    new.rename(file)


def follow(file: Path, artifacts: Path) -> None:
    """Lead the addresses of artifacts to this project, where it was copied or moved together with its file.

    Args:
        file: MLflow's file.
        artifacts: The folder of artifacts beside it.
    """
    new = artifacts.as_uri()
    # Without the copied artifacts, the addresses of those that are there stay as they are.
    places = _PLACES if artifacts.is_dir() else _PLACES[:1]
    with closing(sqlite3.connect(file, timeout=10)) as database:
        try:
            with database:
                known = [str(row[0]) for row in database.execute("SELECT DISTINCT artifact_location FROM experiments")]
                for old in known:
                    if old != new and _is_of_a_project(old, artifacts.name):
                        for table, column in places:
                            _lead(database, table, column, old, new)
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise
            # No tables yet, those of another version, or no database at all, which MLflow will say.


def _is_of_a_project(address: str, name: str) -> bool:
    """Return whether a project of satsynth made a folder of artifacts; one of the user's own choice stays."""
    return address.startswith("file:") and Path(unquote(urlsplit(address).path)).name == name


def _lead(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    database.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
