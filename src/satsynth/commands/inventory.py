"""List what a project stores below `data/`: versions, work folders, decoded pictures and leftovers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST, read_json
from satsynth.work.folder import NUMBER
from satsynth.work.origins import ORIGIN, ORIGINS, Origin, read_origin

# Kedro's own format of version names, so that no other folder is mistaken for a version.
_VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
_FINGERPRINT = re.compile(r"[0-9a-f]{24}")
_DECODED = re.compile(r"([0-9a-f]{24})-(\w+)-(\d+)")
_TRASH = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Version:
    """One version of a catalog entry.

    Args:
        entry: Folder of all versions of the entry.
        path: Folder of this version.
        finished: Whether it can be loaded.
        digest: SHA-256 of its content; empty where it is not known.
        parents: Digests of its inputs by name.
        number: Larger than those of the versions that were there when it was saved; 0 where it was not recorded.
    """

    entry: Path
    path: Path
    finished: bool
    digest: str
    parents: Mapping[str, str]
    number: int


@dataclass(frozen=True)
class Work:
    """One work folder.

    Args:
        step: Name of the step.
        path: The folder.
        version: Result version of the step.
        finished: Whether its result is complete.
        digest: SHA-256 of its result; empty until it is complete.
        kind: Kind of its result; empty until it is complete.
        parents: Digests of its inputs by name.
        dataset: Name of the data set; empty if the step does not record one.
        number: Larger than those of the folders of this step that were begun before; 0 where it was not recorded.
    """

    step: str
    path: Path
    version: int
    finished: bool
    digest: str
    kind: str
    parents: Mapping[str, str]
    dataset: str
    number: int

    @property
    def helpers(self) -> list[Path]:
        """Files beside the result: checkpoints and notes."""
        with suppress(FileNotFoundError):
            return [entry for entry in self.path.iterdir() if entry.name != "result"]
        return []


@dataclass(frozen=True)
class DecodedFolder:
    """Decoded pictures of one split of a pair store.

    Args:
        path: The folder.
        digest: First 24 digits of the store's digest.
        format: Version of the format.
    """

    path: Path
    digest: str
    format: int


def versions(data: Path) -> list[Version]:
    """Return all versions of all entries in all environments and data sets, by entry, the one saved last first."""
    found = []
    for path in data.glob("0[2-8]_*/*/*/*/*"):
        if not _VERSION.fullmatch(path.name) or not path.is_dir():
            continue
        content = path / path.parent.name
        manifest = _json(content / MANIFEST) if content.is_dir() else None
        finished = manifest is not None or content.is_file()
        # Of tables, only the origin says what they rest on.
        origin = _origin(path / ORIGIN)
        known = manifest or (asdict(origin) if origin else {})
        digest, parents, number = known.get("digest", ""), known.get("parents", {}), origin.number if origin else 0
        found.append(Version(path.parent, path, finished, digest, parents, number))
    return sorted(found, key=lambda version: (str(version.entry), version.number, version.path.name), reverse=True)


def shown(data: Path) -> set[str]:
    """Return the digests of everything that tables, figures and reports of the catalog rest on."""
    origins = [_origin(path) for path in data.glob(f"0[2-8]_*/*/*/{ORIGINS}/*.json")]
    return {digest for origin in origins if origin for digest in origin.parents.values()}


def works(root: Path) -> list[Work]:
    """Return all work folders by step, the one begun last first."""
    found = []
    for path in root.glob("*/*"):
        if not _FINGERPRINT.fullmatch(path.name) or not path.is_dir():
            continue
        note = _json(path / "step.json") or {}
        manifest = _json(path / "result" / MANIFEST)
        settings = note.get("settings", {})
        described = settings.get("description")
        dataset = (described if isinstance(described, dict) else settings).get("name", "")
        found.append(
            Work(
                path.parent.name,
                path,
                int(note.get("version", 0)),
                manifest is not None,
                (manifest or {}).get("digest", ""),
                (manifest or {}).get("kind", ""),
                note.get("parents", {}),
                str(dataset),
                _number(path / NUMBER),
            )
        )
    return sorted(found, key=lambda work: (work.step, work.number, work.path.name), reverse=True)


def decoded_pictures(root: Path) -> list[DecodedFolder]:
    """Return all decoded pictures."""
    found = [(path, _DECODED.fullmatch(path.name)) for path in sorted((root / "decoded").glob("*"))]
    return [DecodedFolder(path, match[1], int(match[3])) for path, match in found if match]


def leftovers(data: Path) -> list[Path]:
    """Return what killed processes left partly written or partly removed. Valid only while no process is active."""
    patterns = (".work/*/.*.tmp", "0[2-8]_*/*/*/.*.tmp", "0[2-8]_*/*/*/*/.*.tmp", "0[2-8]_*/*/*/*/*/.*.tmp")
    return sorted(path for pattern in patterns for path in data.glob(pattern) if _TRASH.fullmatch(path.name))


def with_ancestors(wanted: Iterable[str], known: Sequence[Version]) -> set[str]:
    """Return digests and those of all known ancestors of what they stand for."""
    parents = {version.digest: set(version.parents.values()) for version in known if version.digest}
    found: set[str] = set()
    todo = [digest for digest in wanted if digest]
    while todo:
        digest = todo.pop()
        if digest not in found:
            found.add(digest)
            todo += parents.get(digest, set())
    return found


def _origin(path: Path) -> Origin | None:
    try:
        return read_origin(path)
    except (OSError, SatSynthError):
        return None


def _number(path: Path) -> int:
    try:
        return int(read_json(path))
    except (OSError, ValueError, TypeError, SatSynthError):
        return 0


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(read_json(path))
    except (OSError, ValueError, SatSynthError):
        return None
