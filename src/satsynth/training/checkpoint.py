"""Checkpoints: the last two of a training are kept, and one that is damaged is passed over."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from satsynth.work.errors import DamagedError
from satsynth.work.files import atomic, file_digest, set_aside

log = logging.getLogger(__name__)
_DIGEST = 32
_REMEDY = "Run the same command again: it continues from the checkpoint before, or from the start."


def before(path: Path) -> Path:
    """Return the file of the checkpoint before the last one."""
    return path.with_name(f"{path.name}.before")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint with its digest at the end, and keep the one that was the last.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    with atomic(path) as temporary:
        torch.save(state, temporary)
        digest = bytes.fromhex(file_digest(temporary))
        with temporary.open("ab") as file:
            file.write(digest)
        # A kill at this moment leaves the one before, from which the training continues.
        if path.exists():
            path.replace(before(path))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the last checkpoint that is whole, or None; those that are damaged are set aside, with a warning."""
    for file in (path, before(path)):
        if not file.exists():
            continue
        try:
            return _read(file)
        except DamagedError as damage:
            log.warning("%s The training continues from the checkpoint before, or from the start.", damage.problem)
            set_aside(file)
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DamagedError(file, f"it cannot be read ({error})", _REMEDY) from error
    if len(content) <= _DIGEST:
        raise DamagedError(file, f"it has only {len(content)} bytes", _REMEDY)
    state = memoryview(content)[:-_DIGEST]
    if hashlib.sha256(state).digest() != content[-_DIGEST:]:
        raise DamagedError(file, "its content does not fit its digest", _REMEDY)
    return dict(torch.load(io.BytesIO(state), map_location="cpu", weights_only=True))
