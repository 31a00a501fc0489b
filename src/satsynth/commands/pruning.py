"""What may be removed without loss to the newest versions, and its removal in steps that a kill cannot spoil."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from satsynth.commands.inventory import Version, Work, closure, decoded_pictures, leftovers, versions, works

# Results that are large; all others are small, and spare the newest versions work.
_STORED = ("pairs", "generator", "export")


@dataclass(frozen=True)
class Removal:
    """Something to remove.

    Args:
        path: The folder or file.
        what: What it is, in words.
    """

    path: Path
    what: str


def unneeded(data: Path, keep: int, unfinished: bool = False) -> list[Removal]:
    """Return what neither the newest versions need nor unfinished work that still can be used.

    Kept are: of each entry the newest versions and all that they descend from; work folders whose result is one of
    these, or that rest on these alone (of finished generators and stores the newest); decoded pictures of the newest
    stores.

    Args:
        data: The folder `data/`.
        keep: Versions to keep of each entry, at least 1.
        unfinished: Whether unfinished work that still can be used counts as unneeded too.
    """
    known = versions(data)
    kept = _newest(known, keep)
    needed = closure(kept, known)
    # Versions of equal content stand for one another: the newest of them is enough.
    newest = {(version.entry, version.digest): version for version in reversed(known)}
    removed = [
        Removal(
            version.path, f"{version.entry.name} {version.path.name}" + ("" if version.finished else ", unfinished")
        )
        for version in known
        if version not in kept and not (version.digest in needed and version is newest[version.entry, version.digest])
    ]
    removed += _works(works(data / ".work"), {version.entry.name for version in known}, needed, keep, unfinished)
    removed += _decoded(data, closure(_newest(known, 1), known))
    return removed + [Removal(path, "leftover") for path in leftovers(data)]


def _newest(known: list[Version], number: int) -> list[Version]:
    """Return the newest finished versions of each entry; ``known`` has the newest first."""
    seen: Counter[Path] = Counter()
    found = []
    for version in known:
        if version.finished and seen[version.entry] < number:
            seen[version.entry] += 1
            found.append(version)
    return found


def _works(known: list[Work], entries: set[str], needed: set[str], keep: int, unfinished: bool) -> list[Removal]:
    # Result versions only rise: what an older one has begun is never taken up again.
    current = {work.step: work.version for work in sorted(known, key=lambda work: work.version)}
    seen: Counter[Hashable] = Counter()
    removed = []
    for work in known:
        from_raw = not entries & set(work.parents)
        usable = from_raw or set(work.parents.values()) <= needed
        if work.finished:
            group: Hashable = (work.step, work.dataset if from_raw else tuple(sorted(work.parents.items())))
            seen[group] += 1
            small = work.kind not in _STORED and not from_raw
            wanted = work.digest in needed or (usable and (small or seen[group] <= keep))
        else:
            # Each belongs to some environment or some settings, and which of them runs next is not known.
            wanted = usable and work.version == current[work.step] and not unfinished
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
    """Remove something; killed half-way, what is left of it goes by a name that nothing reads, and is a leftover."""
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
