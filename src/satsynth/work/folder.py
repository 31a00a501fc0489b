"""Work folders: where a step keeps what it has done, so that the same command goes on after any interruption."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from satsynth.work.errors import DamagedError, ResourceError
from satsynth.work.files import (
    MANIFEST,
    canonical_json,
    digest_of,
    disk_errors,
    file_digest,
    read_json,
    set_aside,
    write_json,
)
from satsynth.work.finished import Finished, read_manifest
from satsynth.work.locks import PATIENCE, SharedLock, refuse_while_freeing
from satsynth.work.placement import Share

log = logging.getLogger(__name__)
NOTE, ANEW, NUMBER, ORDER = "step.json", "anew.json", "number.json", "order"
# Seconds that a share waits while another one assembles what all have done.
ASSEMBLY = 600.0
REPAIR = "Run the same command again: it makes damaged work anew."


@dataclass(frozen=True)
class Step:
    """What identifies a piece of work: equal steps have equal results.

    Args:
        name: The step's name and its folder.
        version: The step's result version, raised by a change of code that changes results.
        parents: Digest of each input, by name.
        settings: Every parameter that changes the result (not: workers, device, logging).
    """

    name: str
    version: int
    parents: Mapping[str, str]
    settings: Mapping[str, Any]

    def but(self, setting: str) -> Step:
        """Return the step without one of its settings."""
        return replace(self, settings={name: value for name, value in self.settings.items() if name != setting})

    @property
    def fingerprint(self) -> str:
        """The SHA-256 that names the work folder."""
        return digest_of(
            {
                "step": self.name,
                "version": self.version,
                "parents": dict(self.parents),
                "settings": dict(self.settings),
            }
        )


class WorkFolder:
    """The folder of one step: ``result/`` becomes the outcome, all beside it helps to get there.

    Args:
        root: Folder of all work.
        step: The step.
        share: The part of the step's units that is done here; None does all.
    """

    def __init__(self, root: Path, step: Step, share: Share | None = None) -> None:
        """Name the folder; nothing is made yet."""
        self.step = step
        self.share = share
        self.path = root / step.name / step.fingerprint[:24]
        self.result = self.path / "result"

    @property
    def finished(self) -> bool:
        """Whether the result is complete, which its manifest says."""
        return (self.result / MANIFEST).exists()

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the finished result."""
        return read_manifest(self.result, REPAIR)

    def damage(self) -> DamagedError | None:
        """Return what is damaged in the finished result, or None."""
        try:
            result = Finished(self.result)
            if result.manifest["fingerprint"] != self.step.fingerprint:
                return DamagedError(self.result / MANIFEST, "it belongs to other work", REPAIR)
            result.verify()
        except DamagedError as error:
            return error
        return None

    def finish(self, manifest: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        """Write the manifest that makes the result complete, with fingerprint, parents and its own digest.

        Args:
            manifest: What to write.
            files: Names of files of the result whose content the digest must cover.
        """
        contents = {"files": {name: file_digest(self.result / name) for name in files}} if files else {}
        content = {**manifest, **contents, "fingerprint": self.step.fingerprint, "parents": dict(self.step.parents)}
        # As it will be read: the digest must not depend on what JSON makes equal, such as keys 1 and "1".
        content = json.loads(canonical_json(content))
        write_json(self.result / MANIFEST, {**content, "digest": digest_of(content)})

    def forget_helpers(self) -> None:
        """Remove all but the result: checkpoints are of no use once it is there."""
        for entry in self.path.iterdir():
            # A half-written file belongs to its writer, which may be another thread.
            if entry != self.result and entry.name not in (NOTE, ANEW, NUMBER, "run.json") and entry.suffix != ".tmp":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _sweep(folder: WorkFolder) -> None:
    """Remove what a killed process left half-written; the caller holds the lock."""
    for trash in folder.path.parent.glob(f".{folder.path.name}.*.tmp"):
        shutil.rmtree(trash) if trash.is_dir() else trash.unlink()
    for stale in folder.path.rglob(".*.tmp"):
        stale.unlink()


def _noted(note: Path) -> Step | None:
    """Return the step of a note, or None if the note is damaged: a folder's name is its step's fingerprint."""
    try:
        step = Step(**read_json(note))
        return step if step.fingerprint[:24] == note.parent.name else None
    except (DamagedError, TypeError):
        return None


def alike(folder: WorkFolder, setting: str) -> list[Path]:
    """Return the result folders of the same step that differ only in one setting, finished or not."""

    wanted = folder.step.but(setting).fingerprint
    notes = sorted(note for note in folder.path.parent.glob(f"*/{NOTE}") if note.parent != folder.path)
    found = [(note, _noted(note)) for note in notes]
    return [note.parent / "result" for note, step in found if step and step.but(setting).fingerprint == wanted]


def _by_run(folder: WorkFolder) -> str:
    """Return the name of the run that has begun this work anew; empty where it is not known."""
    try:
        return str(read_json(folder.path / ANEW)["run"])
    except (FileNotFoundError, DamagedError, KeyError, TypeError):
        return ""


def renew(folder: WorkFolder, damage: DamagedError) -> None:
    """Set damaged work aside, with a warning, and leave its folder empty; the caller holds the lock."""
    log.warning("%s It is set aside, and the step '%s' is done again.", damage.problem, folder.step.name)
    set_aside(folder.path)
    _prepare(folder)


def _prepare(folder: WorkFolder) -> None:
    """Make a folder ready for work; the caller holds the lock."""
    _sweep(folder)
    folder.result.mkdir(parents=True, exist_ok=True)
    note, step = folder.path / NOTE, folder.step
    if not note.exists() or _noted(note) is None:
        content = {
            "name": step.name,
            "version": step.version,
            "parents": dict(step.parents),
            "settings": dict(step.settings),
        }
        write_json(note, content)
    if not (folder.path / NUMBER).exists():
        write_json(folder.path / NUMBER, _next_number(folder.path.parent))


def _next_number(step: Path) -> int:
    """Return a number that is larger than those of all folders of a step, in whatever process they were begun.

    A clock may be set back; a file that each folder makes longer by one byte is not.
    """
    with (step / ORDER).open("ab") as file:
        file.write(b".")
        file.flush()
        return file.tell()


@contextmanager
def work_folder(root: Path, step: Step, anew: str = "", patience: float = PATIENCE) -> Iterator[WorkFolder]:
    """Open a step's folder and lock it for this process until the block ends.

    A finished result that is damaged is set aside, with a warning, and the folder is empty.

    Args:
        root: Folder of all work.
        step: The step.
        anew: Name of a run that forgets what other runs have done; empty to use it.
        patience: Seconds to wait for another process that holds the folder.

    Raises:
        ResourceError: Another process holds the folder, disk space is being freed, or it cannot be written.
    """
    folder = WorkFolder(root, step)
    lock = FileLock(_lock_file(folder))
    try:
        with disk_errors(folder.path):
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience, poll_interval=0.02)
    except Timeout:
        raise _busy(folder) from None
    try:
        # Our own lock is held by now, so a process that starts to free disk space sees it.
        refuse_while_freeing(root)
        _holder(folder).write_text(f"Process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        others = anew and _by_run(folder) != anew
        if others and folder.path.exists():
            set_aside(folder.path)
        elif folder.finished and (damage := folder.damage()):
            renew(folder, damage)
        _prepare(folder)
        if others:
            write_json(folder.path / ANEW, {"run": anew})
        log.debug("%s works in %s: %s", step.name, folder.path, canonical_json(dict(step.settings)))
        yield folder
    finally:
        _holder(folder).unlink(missing_ok=True)
        lock.release()


@contextmanager
def shared_work_folder(root: Path, step: Step, share: Share) -> Iterator[WorkFolder]:
    """Open a step's folder together with the processes of other shares; who wants it alone is kept out meanwhile.

    Args:
        root: Folder of all work.
        step: The step.
        share: The part of the step's units that is done here.

    Raises:
        ResourceError: Another process holds the folder alone, disk space is being freed, or it cannot be written.
    """
    folder = WorkFolder(root, step, share)
    lock, until = SharedLock(_lock_file(folder)), time.monotonic() + ASSEMBLY
    while True:
        # Whoever gets the folder alone makes it ready; where others share it, it is.
        with suppress(_BusyError), work_folder(root, step, patience=0):
            pass
        if lock.acquire():
            break
        if time.monotonic() > until:
            raise _busy(folder)
        time.sleep(0.05)
    try:
        refuse_while_freeing(root)
        yield folder
    finally:
        lock.release()


def _lock_file(folder: WorkFolder) -> Path:
    return folder.path.with_suffix(".lock")


def _holder(folder: WorkFolder) -> Path:
    return folder.path.with_suffix(".holder")


class _BusyError(ResourceError):
    """Another process holds a folder."""


def _busy(folder: WorkFolder) -> _BusyError:
    holder = _holder(folder)
    who = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another process"
    return _BusyError(
        f"{who} is at work on the step '{folder.step.name}' in {folder.path}.", "Wait for it to end, or stop it."
    )
