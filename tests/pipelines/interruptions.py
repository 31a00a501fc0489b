"""Killing runs and comparing what comes of them with an undisturbed one."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from warm import Started

from satsynth.work.finished import TIMING

KEPT = ("tiles", "generator", "synthetic_pairs")


def newest(project: Path, entry: str) -> Path:
    """Return the folder of the newest version of a catalog entry."""
    versions = sorted(project.glob(f"data/0*/*/*/{entry}/*/{entry}/manifest.json"))
    assert versions, f"there is no version of {entry}"
    return versions[-1].parent


def contents(project: Path) -> dict[str, str]:
    """Return the digest of each file of the entries whose bytes must not depend on interruptions."""
    return {
        f"{entry}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for entry in KEPT
        for file in sorted(newest(project, entry).iterdir())
        if file.name != TIMING
    }


def kill_when(process: subprocess.Popen[str] | Started, moment: Callable[[], bool], timeout: float = 300) -> bool:
    """Kill a process and its children by SIGKILL at a moment; return False if it ended before."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            return False
        if moment():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    raise TimeoutError("the moment did not come")
