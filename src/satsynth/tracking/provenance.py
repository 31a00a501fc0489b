"""What is recorded of a run beside its metrics: parameters, input data, code, versions, machine, process."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from satsynth.pairs.store import PairStore

_KEY_LENGTH = 250
HOST, PROCESS, STARTED = "satsynth.host", "satsynth.pid", "satsynth.started"
_PACKAGES = ("satsynth", "torch", "diffusers", "segmentation-models-pytorch", "kedro", "mlflow")


@dataclass(frozen=True)
class DataInput:
    """A data set that a run saw.

    Args:
        name: Its name in the catalog.
        digest: SHA-256 of its content.
        path: Where it lies.
        counts: Pairs in each split.
    """

    name: str
    digest: str
    path: str
    counts: Mapping[str, int]


def data_inputs(**stores: PairStore | None) -> tuple[DataInput, ...]:
    """Return pair stores by their names in the catalog as inputs of a run; None is left out."""
    return tuple(
        DataInput(name, store.digest, str(store.path), store.manifest["counts"])
        for name, store in stores.items()
        if store is not None
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested parameters to ``a.b.c: text``."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = str(value)
    return found


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics as one level: ``{"a": {"b": 1, "c": "text"}}`` becomes ``{"a.b": 1.0}``."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(numbers(value, f"{prefix}{key}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
    return found


def as_key(text: str) -> str:
    """Return a name with the characters that MLflow allows in keys, 250 at most; different names stay different."""
    wanted = text.replace("%", " percent")
    plain = re.sub(r"[^\w.\- :/]", "_", wanted)
    # The project's own names of arms need no mark.
    if plain == re.sub(r"\b(R|seed)=(?=[\d.])", r"\1_", wanted) and len(plain) <= _KEY_LENGTH:
        return plain
    mark = f"-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return plain[: _KEY_LENGTH - len(mark)] + mark


def without_password(text: str) -> str:
    """Return a text without user names and passwords in its addresses, to be shown and stored."""
    # Up to the last @, since a password may hold / and @ that should be written as %2F and %40. Files have 3 slashes.
    return re.sub(r"(?<=://)(?!/)\S*@", "", text)


def has_broken_password(uri: str) -> bool:
    """Return whether an address would be cut in the middle of its password, and a part be taken for a host or path."""
    return re.search(r"://(?!/)\S*[/?#]\S*@", uri) is not None


def git_tags(project: Path) -> dict[str, str]:
    """Return commit and dirty flag as tags, if the project is a git checkout."""

    def git(*arguments: str) -> str:
        return _output("git", "-C", str(project), *arguments)

    try:
        return {
            "mlflow.source.git.commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.SubprocessError):
        return {}


def machine_tags() -> dict[str, str]:
    """Return user, command, versions and hardware as tags."""
    tags = {
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": " ".join(["kedro", *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cpu_cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory_gib": f"{psutil.virtual_memory().total / 2**30:.1f}",
        "gpu": _graphics(),
    }
    for package in _PACKAGES:
        try:
            tags[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    # A container may run under a user id without a name.
    with suppress(KeyError, OSError):
        tags["mlflow.user"] = getpass.getuser()
    return tags


def host_name() -> str:
    """Return an identifier of this machine or container: its name and a digest of its identity."""
    known = [socket.gethostname()]
    # Host names repeat, and each container counts process ids from 1. Not all systems provide these files.
    with suppress(OSError):
        known.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{known[0]} {hashlib.sha256(' '.join(known).encode()).hexdigest()[:12]}"


def process_tags() -> dict[str, str]:
    """Return tags that identify this process on this host and elsewhere."""
    process = psutil.Process()
    return {HOST: host_name(), PROCESS: str(process.pid), STARTED: f"{_started(process):.2f}"}


def is_dead(tags: Mapping[str, str]) -> bool:
    """Return whether the tags name a process of this host that has ended; False for other hosts."""
    if tags.get(HOST) != host_name() or not tags.get(PROCESS, "").isdigit():
        return False
    try:
        process = psutil.Process(int(tags[PROCESS]))
        # Process ids are reused, start times are not.
        other = abs(_started(process) - float(tags.get(STARTED, "0"))) > 2
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False


def _started(process: psutil.Process) -> float:
    """Return when a process started, in seconds since the machine did, which no change of the clock moves."""
    return process.create_time() - psutil.boot_time()


def _processor() -> str:
    """Return the name of the CPU; Linux gives it only in a file."""
    file = Path("/proc/cpuinfo")
    if file.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", file.read_text(errors="replace"), re.M)):
        return found[1].strip()
    return platform.processor() or platform.machine()


def _graphics() -> str:
    """Return the GPUs; asked of the driver, since importing PyTorch takes seconds."""
    try:
        found = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    except (OSError, subprocess.SubprocessError):
        return "none"
    return "; ".join(line.strip() for line in found.splitlines()) or "none"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
