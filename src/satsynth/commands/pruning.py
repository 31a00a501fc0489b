"""Find and remove what the newest versions do not need. A removal can be killed at any time without harm."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from satsynth.commands.inventory import (
    Version,
    Work,
    decoded_pictures,
    leftovers,
    shown,
    versions,
    with_ancestors,
    works,
)

# Kinds of large results. Other results are small and are kept, because they save later runs work.
_STORED = ("pairs", "generator", "export")


@dataclass(frozen=True)
class Removal:
    """A folder or file to remove.

    Args:
        path: The folder or file.
        what: What it is, in words.
    """

    path: Path
    what: str


def unneeded(data: Path, keep: int, unfinished: bool = False) -> list[Removal]:
    """Return what is needed neither by the newest versions and what is shown nor by work that a run can resume.

    The newest versions are those saved last, whatever times their names say. These are kept: the newest versions of
    each entry, what the tables, figures and reports of the catalog rest on, unfinished work, and the ancestors of all
    of these; work folders whose result is one of these versions or depends only on them (for generators and stores,
    only the newest ones); decoded pictures of the newest stores.

    Args:
        data: The folder `data/`.
        keep: Versions to keep of each entry, at least 1.
        unfinished: Whether resumable unfinished work counts as unneeded, too.
    """
    known = versions(data)
    kept = _newest(known, keep)
    work = works(data / ".work")
    # Result versions only increase, so unfinished work of an older version is never resumed.
    current = {one.step: one.version for one in sorted(work, key=lambda one: one.version)}
    begun = [] if unfinished else [one for one in work if not one.finished and one.version == current[one.step]]
    inputs = {digest for one in begun for digest in one.parents.values()}
    needed = with_ancestors({version.digest for version in kept} | shown(data) | inputs, known)
    # Of versions with equal content, the newest one is enough.
    newest = {(version.entry, version.digest): version for version in reversed(known)}
    removed = [
        Removal(
            version.path, f"{version.entry.name} {version.path.name}" + ("" if version.finished else ", unfinished")
        )
        for version in known
        if version not in kept and not (version.digest in needed and version is newest[version.entry, version.digest])
    ]
    removed += _works(work, begun, {version.entry.name for version in known}, needed, keep)
    removed += _decoded(data, with_ancestors({version.digest for version in _newest(known, 1)}, known))
    return removed + [Removal(path, "leftover") for path in leftovers(data)]


def _newest(known: list[Version], number: int) -> list[Version]:
    """Return the newest finished versions of each entry. ``known`` lists the newest first."""
    seen: Counter[Path] = Counter()
    found = []
    for version in known:
        if version.finished and seen[version.entry] < number:
            seen[version.entry] += 1
            found.append(version)
    return found


def _works(known: list[Work], begun: list[Work], entries: set[str], needed: set[str], keep: int) -> list[Removal]:
    seen: Counter[Hashable] = Counter()
    removed = []
    for work in known:
        if work.finished:
            from_raw = not entries & set(work.parents)
            group: Hashable = (work.step, work.dataset if from_raw else tuple(sorted(work.parents.items())))
            seen[group] += 1
            small = work.kind not in _STORED and not from_raw
            usable = from_raw or set(work.parents.values()) <= needed
            wanted = work.digest in needed or (usable and (small or seen[group] <= keep))
        else:
            # Whatever its parameters: any of them may run next.
            wanted = work in begun
        if wanted:
            continue
        state = "" if work.finished else ", unfinished"
        removed.append(Removal(work.path, f"work on {work.step} {work.path.name[:8]}{state}"))
    return removed


def _decoded(data: Path, needed: set[str]) -> list[Removal]:
    from satsynth.pairs.cache import RESULT_VERSION

    short = {digest[:24] for digest in needed}
    return [
        Removal(found.path, f"decoded pictures {found.path.name}")
        for found in decoded_pictures(data / ".work")
        if found.digest not in short or found.format != RESULT_VERSION
    ]


def remove(removal: Removal) -> None:
    """Remove a folder or file. If this is killed, the rest has a name that nothing reads, and counts as a leftover."""
    path = removal.path
    if not path.name.endswith(".tmp"):
        path = path.rename(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"))
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if removal.path.parents[1].name == ".work":
        for suffix in (".lock", ".holder"):
            removal.path.with_suffix(suffix).unlink(missing_ok=True)
