"""Read everything that is stored and name what is damaged, also what no step reads again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from satsynth.commands.inventory import versions, works
from satsynth.work.errors import DamagedError
from satsynth.work.files import MANIFEST
from satsynth.work.finished import Finished
from satsynth.work.origins import ORIGIN, ORIGINS, unchanged

_VERSION = "Run the pipeline that makes it; the damaged version stays until `prune` removes it."
_FILE = "Run the pipeline that makes it."
_WORK = "Run the command that made it: it makes damaged work anew."


def damages(data: Path) -> Iterator[DamagedError]:
    """Yield what is damaged of versions, of files without versions, and of finished work, in this order."""
    for version in versions(data):
        content = version.path / version.entry.name
        yield from _found(content, version.path / ORIGIN, _VERSION)
    for origin in sorted(data.glob(f"0[2-8]_*/*/*/{ORIGINS}/*.json")):
        yield from _found(origin.parent.parent / origin.name.removesuffix(".json"), origin, _FILE)
    for work in reversed(works(data / ".work")):
        yield from _found(work.path / "result", None, _WORK)


def _found(path: Path, origin: Path | None, remedy: str) -> Iterator[DamagedError]:
    try:
        if (path / MANIFEST).exists():
            Finished(path).verify()
        elif origin is not None and not path.is_dir():
            unchanged(path, origin, remedy)
    except DamagedError as error:
        yield DamagedError(error.path, error.how, remedy)
    except FileNotFoundError:
        # Without an origin it was never there: the folder of a version that a killed run has begun.
        if origin is not None and origin.exists():
            yield DamagedError(path, "it is not there", remedy)
